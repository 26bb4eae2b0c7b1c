//! Runs work in a short-lived child of the keeper, which may enter user and mount namespaces from which there
//! is no return.

use std::os::fd::{AsFd, OwnedFd};

use nix::{
    sched::CloneFlags,
    sys::{
        socket::{AddressFamily, SockFlag, SockType, socketpair},
        wait::waitpid,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use super::super::protocol::{self, Failure};
use crate::{Error, Result, error::Context, kernel::sys};

/// Runs the work in a child and waits for it. Returns the child's result and the descriptor it opened. `what`
/// describes the work in errors.
pub fn run<T: Serialize + DeserializeOwned>(
    what: &str,
    mut work: impl FnMut() -> Result<(T, Option<OwnedFd>)>,
) -> Result<(T, Option<OwnedFd>)> {
    let what = || format!("cannot {what}");
    let kind = (AddressFamily::Unix, SockType::SeqPacket);
    let (ours, theirs) = socketpair(kind.0, kind.1, None, SockFlag::SOCK_CLOEXEC).or_lab(what)?;
    let child = sys::clone(CloneFlags::empty(), || {
        let (found, fd) = match work() {
            Ok((found, fd)) => (Ok(found), fd),
            Err(error) => (Err(Failure::from(&error)), None),
        };
        let fds: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
        // If the keeper is gone, nobody needs the result.
        let _ = protocol::send(theirs.as_fd(), &found, &fds);
        0
    })
    .or_lab(what)?;
    drop(theirs);
    let answer = protocol::receive::<Result<T, Failure>>(ours.as_fd());
    waitpid(child, None).or_lab(what)?;
    match answer.or_lab(what)? {
        Some((Ok(found), mut fds)) => Ok((found, fds.pop())),
        Some((Err(failure), _)) => Err(failure.into()),
        None => Err(Error::lab(what())),
    }
}
