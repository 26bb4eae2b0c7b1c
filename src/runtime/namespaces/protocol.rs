//! What a lab's keeper and its clients say to each other.
//!
//! They speak over a `SOCK_SEQPACKET` socket, so that one message is one packet and descriptors
//! travel with the message that they belong to. Every message is JSON.

use std::{
    io::IoSlice,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::PathBuf,
};

use nix::{
    errno::Errno,
    sys::socket::{ControlMessage, MsgFlags, sendmsg},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error,
    kernel::{ExitStatus, sys},
    runtime::{Command, HostState, Warning, Watch, WatchedHost},
    topology::Plan,
};

/// The largest message, in bytes. A socket's default send buffer takes no more.
const LARGEST: usize = 208 * 1024;

/// What a keeper is told on its standard input when it is started.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// What to build.
    pub plan: Plan,
    /// The folder that holds the lab's state.
    #[serde(with = "crate::paths")]
    pub folder: PathBuf,
}

/// What a keeper says on its standard output once the lab stands, or cannot.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It stands; these parts of the plan could not be had.
    Ready { warnings: Vec<Warning> },
    /// It does not, and nothing is left of it.
    Failed(Failure),
}

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Run a program on a host. Without a terminal its three streams come along.
    Exec { host: String, command: Command },
    /// Run a program on a host, its output going to the host's log.
    Start { host: String, command: Command },
    /// Run an observer. Its three streams come along.
    Observe,
    /// How the hosts do.
    Hosts,
    /// Cut a host's power.
    Stop { host: String },
    /// Give a host its power back.
    Boot { host: String },
    /// Take everything down and go.
    Down,
}

/// What the keeper answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The program runs; with a terminal, its master comes along.
    Spawned { pid: i32 },
    /// The observer runs, and that is what it has to watch.
    Observing { pid: i32, watch: Watch },
    /// The program started over this connection has ended.
    Exited(ExitStatus),
    /// How the hosts do, in the plan's order.
    Hosts(Vec<HostState>),
    /// What was asked is done.
    Done,
    /// The host runs, and that is what an observer has to watch.
    Booted(WatchedHost),
    /// Everything is taken down, but for what is named.
    Gone { left: Vec<String> },
    /// What was asked could not be done.
    Failed(Failure),
}

/// An [`Error`] on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    message: String,
    hint: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { message: error.with_causes(), hint: error.hint.clone() }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = Self::lab(failure.message);
        match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// Sends one message with descriptors, waiting for room if the socket blocks.
pub fn send(socket: BorrowedFd<'_>, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let bytes = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let rights = if fds.is_empty() { &[] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&bytes)], rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Receives one message with its descriptors; `None` once the other side has closed.
///
/// # Errors
/// `EBADMSG` for what is no such message.
pub fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> nix::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; LARGEST];
    match sys::receive(socket, &mut bytes)? {
        (0, _) => Ok(None),
        (n, fds) => {
            let message = serde_json::from_slice(&bytes[..n]).map_err(|_| Errno::EBADMSG)?;
            Ok(Some((message, fds)))
        }
    }
}
