//! How a program is started on a host: what the keeper passes to `lab-init launch`, and the answer.
//!
//! A process can enter a PID namespace only by being born into it, and from then on the host's root can see
//! it. So it must not be a copy of the keeper: a helper enters the host's other namespaces and executes
//! `lab-init launch` there, with nothing of the machine's in its memory, environment or descriptors; that
//! starts the program, with the keeper as its parent (`CLONE_PARENT`).
//!
//! | descriptor | meaning |
//! |---|---|
//! | 0, 1, 2 | the program's streams; `/dev/null` if it gets a terminal |
//! | 3 | the [`Launch`], as JSON |
//! | 4 | a socket for the answer, which closes when the program has replaced `lab-init` |

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    pty::{posix_openpt, unlockpt},
    sched::CloneFlags,
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use super::protocol::{self, Failure};
use crate::{
    Result,
    error::Context,
    kernel::sys,
    privileges::Capabilities,
    runtime::{Command, TerminalSize},
};

/// The descriptor with the order.
pub const ORDER: RawFd = 3;
/// The descriptor to answer on.
pub const ANSWER: RawFd = 4;

/// A program to start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Launch {
    /// The program.
    pub command: Command,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Its capabilities at most.
    pub capabilities: Capabilities,
}

/// The answer: the program's pid in the keeper's PID namespace, or why there is none. A terminal's master
/// comes with it.
pub(crate) type Answer = Result<i32, Failure>;

/// The socket for the answer.
pub struct Answering(OwnedFd);

/// Takes over the descriptors that the keeper left open for this process. To be called once, before anything
/// else.
///
/// # Errors
/// The order cannot be read.
pub fn take_over() -> Result<(Launch, Answering)> {
    // SAFETY: the caller of `lab-init launch` passes both descriptors, and nothing here has opened any.
    #[allow(unsafe_code)]
    let (order, answer) = unsafe { (File::from_raw_fd(ORDER), OwnedFd::from_raw_fd(ANSWER)) };
    let what = || "cannot read which program to start";
    fcntl(&answer, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).or_lab(what)?;
    let mut text = Vec::new();
    (&order).read_to_end(&mut text).or_lab(what)?;
    Ok((serde_json::from_slice(&text).or_lab(what)?, Answering(answer)))
}

impl Answering {
    /// Answers with the program's pid and its terminal's master, or with the error.
    pub fn answer(&self, started: &Result<(Pid, Option<OwnedFd>)>) {
        let (answer, master): (Answer, _) = match started {
            Ok((pid, master)) => (Ok(pid.as_raw()), master.as_ref().map(AsFd::as_fd)),
            Err(error) => (Err(Failure::from(error)), None),
        };
        let fds: Vec<BorrowedFd<'_>> = master.into_iter().collect();
        // If the keeper is gone, nobody needs the answer, and the host goes, too.
        let _ = protocol::send(self.0.as_fd(), &answer, &fds);
    }
}

/// Opens a new terminal of this size from this mount namespace's devpts. Returns its master and its slave.
pub fn open_terminal(size: TerminalSize) -> nix::Result<(OwnedFd, OwnedFd)> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    unlockpt(&master)?;
    let terminal = sys::terminal_of(&master)?;
    sys::resize(&terminal, size.rows, size.columns)?;
    Ok((master.into(), terminal))
}

/// Runs `child` in a new process with the same parent as this one, in the PID namespace selected for
/// children. It exits with the code that `child` returns.
///
/// Only for a process of a single thread.
pub fn fork_sibling(child: impl FnMut() -> isize) -> nix::Result<Pid> {
    sys::clone(CloneFlags::CLONE_PARENT, child)
}

/// Makes standard input the controlling terminal of this session.
pub fn control_terminal() -> nix::Result<()> {
    sys::control_terminal(std::io::stdin().as_fd())
}
