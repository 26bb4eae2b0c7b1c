//! Prepares a host's network from outside: the same `lab-init` that is its PID 1 is started in the host's
//! network namespace and in no other namespace of the host.

use std::{
    fs::File,
    io::{PipeReader, Read, pipe},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, Command, Stdio},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns},
};

use super::machine::Host;
use crate::{Error, Result, error::Context};

/// Time limit once the links exist, in milliseconds.
const PATIENCE: u16 = 10_000;
/// Maximum length of its error output, in bytes.
const COMPLAINT: u64 = 4 << 10;

/// Prepares the network of a host on which only `lab-init` runs so far.
pub fn network(host: &Host, arguments: &[String]) -> Result<()> {
    let what = || format!("cannot prepare the network of {}", host.plan.name);
    let (done, mut init) = start(host.init, arguments).or_lab(what)?;
    let in_time = closed(&done);
    // It has already ended if it was in time.
    let _ = init.kill();
    init.wait().or_lab(what)?;
    let mut said = String::new();
    if let Some(stderr) = init.stderr.take() {
        stderr.take(COMPLAINT).read_to_string(&mut said).or_lab(what)?;
    }
    match (said.lines().next(), in_time) {
        (None, true) => Ok(()),
        (None, false) => Err(Error::lab(what()).caused_by("its links do not come up")),
        (Some(complaint), _) => Err(Error::lab(what()).caused_by(complaint.to_owned())),
    }
}

/// Starts it. The returned pipe ends once the process has ended.
fn start(host: i32, arguments: &[String]) -> std::io::Result<(PipeReader, Child)> {
    let network = File::open(format!("/proc/{host}/ns/net"))?;
    let program = std::env::current_exe()?.with_file_name("lab-init");
    let (done, not_yet) = pipe()?;
    let mut init = Command::new(program);
    init.arg("network")
        .args(arguments)
        .env_clear()
        .stdin(not_yet)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // SAFETY: one system call, with a descriptor that stays open until the child is started.
    #[allow(unsafe_code)]
    unsafe {
        init.pre_exec(move || setns(&network, CloneFlags::CLONE_NEWNET).map_err(Into::into));
    }
    init.spawn().map(|child| (done, child))
}

/// Returns whether the other end is closed in time. Nothing is ever written.
fn closed(done: &PipeReader) -> bool {
    let mut fds = [PollFd::new(done.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(PATIENCE)).is_ok_and(|ready| ready > 0)
}
