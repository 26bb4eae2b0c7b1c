//! How a program is started on a host: what the keeper hands to `lab-init launch`, and what that answers.
//!
//! A process enters a PID namespace only by being born into it, and from its birth the host's root can see
//! it. So what is born must not be a copy of the keeper: a helper enters the host's other namespaces and
//! executes `lab-init launch` there, with nothing of the machine's in its memory, its environment or its
//! descriptors; that starts the program, with the keeper for its parent (`CLONE_PARENT`).
//!
//! | descriptor | what it is |
//! |---|---|
//! | 0, 1, 2 | the program's streams; `/dev/null` where it gets a terminal |
//! | 3 | the [`Launch`], as JSON |
//! | 4 | a socket for the answer, which closes when the program has taken the place of `lab-init` |

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

/// A program to be started.
#[derive(Debug, Serialize, Deserialize)]
pub struct Launch {
    /// The program.
    pub command: Command,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// What it may have at most.
    pub capabilities: Capabilities,
}

/// What is answered: the program's number where the keeper is, or why there is none. A terminal's master
/// comes along.
pub(crate) type Answer = Result<i32, Failure>;

/// The socket for the answer.
pub struct Answering(OwnedFd);

/// Takes over what the keeper has left open for this process. Only once, first of all.
///
/// # Errors
/// What is there is not an order.
pub fn take_over() -> Result<(Launch, Answering)> {
    // SAFETY: whoever runs `lab-init launch` hands over both, and nothing here has opened any.
    #[allow(unsafe_code)]
    let (order, answer) = unsafe { (File::from_raw_fd(ORDER), OwnedFd::from_raw_fd(ANSWER)) };
    let what = || "cannot read what to start";
    fcntl(&answer, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).or_lab(what)?;
    let mut text = Vec::new();
    (&order).read_to_end(&mut text).or_lab(what)?;
    Ok((serde_json::from_slice(&text).or_lab(what)?, Answering(answer)))
}

impl Answering {
    /// Answers with the program's number and its terminal's master, or with why there is none.
    pub fn answer(&self, started: &Result<(Pid, Option<OwnedFd>)>) {
        let (answer, master): (Answer, _) = match started {
            Ok((pid, master)) => (Ok(pid.as_raw()), master.as_ref().map(AsFd::as_fd)),
            Err(error) => (Err(Failure::from(error)), None),
        };
        let fds: Vec<BorrowedFd<'_>> = master.into_iter().collect();
        // If the keeper is gone there is nobody to answer, and the host goes, too.
        let _ = protocol::send(self.0.as_fd(), &answer, &fds);
    }
}

/// A new terminal of that size, of the devpts of this mount namespace: its master and itself.
pub fn open_terminal(size: TerminalSize) -> nix::Result<(OwnedFd, OwnedFd)> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    unlockpt(&master)?;
    let terminal = sys::terminal_of(&master)?;
    sys::resize(&terminal, size.rows, size.columns)?;
    Ok((master.into(), terminal))
}

/// Runs `child` in a new process with this one's parent, in the PID namespace that was chosen for children.
/// It ends with the code that `child` returns.
///
/// Only for a process of a single thread.
pub fn fork_sibling(child: impl FnMut() -> isize) -> nix::Result<Pid> {
    sys::clone(CloneFlags::CLONE_PARENT, child)
}

/// Makes standard input, a terminal, that of this session.
pub fn control_terminal() -> nix::Result<()> {
    sys::control_terminal(std::io::stdin().as_fd())
}
