//! A command on a host's network, and nowhere else of the host: for one that may not change it itself.

use std::{convert::Infallible, os::unix::process::CommandExt, process::Command};

use nix::{
    sched::{CloneFlags, setns},
    unistd::Pid,
};

use crate::{Error, Result, error::Context, kernel::sys::pidfd_open};

/// Becomes the command, on the network of the host with this PID 1. Gives why it cannot.
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
