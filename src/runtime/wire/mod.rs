//! The wire on either runtime: closed, which means that each port of a segment's bridge accepts only certain
//! frames; and checked to work before a lab is reported as up ([`carries`], [`listens`]).
//!
//! Each port is locked to its host, so that a capture proves who sent a packet ([`sender`], [`lock`]). If the
//! bridge is one of the machine's own interfaces, as on Docker, it is also isolated from the machine
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

/// The warning about a wire that could not be closed, with the reason.
pub fn is_open(why: &str) -> Warning {
    Warning { lacks: Lack::ClosedWire, text: format!("the lab's wire is not closed: {why}") }
}

/// Tests the wire between hosts, given with their PID 1s, from a process that need not return from their
/// networks. Returns a warning if it does not work.
pub fn carries(hosts: &[(&HostPlan, BorrowedFd<'_>)]) -> Option<Warning> {
    let why = carries::between(hosts).err()?.with_causes();
    Some(Warning { lacks: Lack::Wire, text: format!("the lab's wire does not work: {why}") })
}
