//! The wire on either runtime: closed, in that it is settled what a port of a segment's bridge lets in; and seen to
//! work before a lab is said to be up ([`carries`], [`listens`]).
//!
//! Each port is locked to its host, so that a capture proves who spoke ([`sender`], [`lock`]). Where the
//! bridge stands among the machine's own interfaces, as on Docker, it is cut off from the machine, too
//! ([`machine`]).

mod carries;
pub mod host;
pub mod listens;
pub mod lock;
pub mod machine;
mod ready;
pub mod sender;

use std::os::fd::BorrowedFd;

use super::{Lack, Warning};
use crate::topology::HostPlan;

/// What is to be told of a wire that could not be closed, and why it could not.
pub fn is_open(why: &str) -> Warning {
    Warning { lacks: Lack::ClosedWire, text: format!("the lab's wire is not closed: {why}") }
}

/// Tries the wire between hosts, given with their PID 1s, from a process that need not come back from their networks.
/// Gives what is to be told of a wire that does not carry.
pub fn carries(hosts: &[(&HostPlan, BorrowedFd<'_>)]) -> Option<Warning> {
    let why = carries::between(hosts).err()?.with_causes();
    Some(Warning { lacks: Lack::Wire, text: format!("the lab's wire does not carry: {why}") })
}
