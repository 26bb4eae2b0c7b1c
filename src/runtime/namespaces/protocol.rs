//! The messages between a lab's keeper and its clients.
//!
//! They use a `SOCK_SEQPACKET` socket, so that one message is one packet and descriptors travel with their
//! message. Every message is JSON.

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

/// Maximum size of a message, in bytes: the default send buffer of a socket takes no more.
const LARGEST: usize = 208 * 1024;

/// The order that a keeper reads from standard input when it starts.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// What to build.
    pub plan: Plan,
    /// The folder that holds the lab's state.
    #[serde(with = "crate::paths")]
    pub folder: PathBuf,
}

/// What a keeper writes to standard output once the lab is up or has failed.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The lab is up, with these warnings.
    Ready { warnings: Vec<Warning> },
    /// It failed, and nothing is left of it.
    Failed(Failure),
}

/// A client's request.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Run a program on a host. Without a terminal, its three streams come with the message.
    Exec { host: String, command: Command },
    /// Run a program on a host, with its output going to the host's log.
    Start { host: String, command: Command },
    /// Run an observer. Its three streams come with the message.
    Observe,
    /// Report the state of the hosts.
    Hosts,
    /// Cut a host's power.
    Stop { host: String },
    /// Give a host its power back.
    Boot { host: String },
    /// Take everything down and exit.
    Down,
}

/// The keeper's reply.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The program runs; a terminal's master comes with the message.
    Spawned { pid: i32 },
    /// The observer runs, and this is what it has to watch.
    Observing { pid: i32, watch: Watch },
    /// The program started over this connection has ended.
    Exited(ExitStatus),
    /// The state of each host, in the plan's order.
    Hosts(Vec<HostState>),
    /// The request is done.
    Done,
    /// The host runs, and this is what an observer has to watch.
    Booted(WatchedHost),
    /// Everything is taken down, except for what is listed.
    Gone { left: Vec<String> },
    /// The request failed.
    Failed(Failure),
}

/// An [`Error`] in a form that can be sent to another process.
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
/// `EBADMSG` if the message is malformed.
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
