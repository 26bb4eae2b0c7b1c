//! Runs a command in a host's network namespace only, for a host that may not change its own network.

use std::{convert::Infallible, os::unix::process::CommandExt, process::Command};

use nix::{
    sched::{CloneFlags, setns},
    unistd::Pid,
};

use crate::{Error, Result, error::Context, kernel::sys::pidfd_open};

/// Executes the command in the network namespace of the host with this PID 1. Returns only with an error.
pub fn execute(init: i32, command: &[String]) -> Error {
    match become_it(init, command) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn become_it(init: i32, command: &[String]) -> Result<Infallible> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::usage("no command for the host's network"));
    };
    let host = pidfd_open(Pid::from_raw(init)).or_lab(|| "the host is gone")?;
    setns(&host, CloneFlags::CLONE_NEWNET).or_lab(|| "cannot enter the host's network")?;
    Err(Command::new(program).args(arguments).exec()).or_lab(|| format!("cannot run {program}"))
}
