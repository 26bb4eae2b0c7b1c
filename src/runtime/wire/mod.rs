//! A closed wire: what a port of a segment's bridge lets in, on either runtime.
//!
//! Each port is locked to its host, so that a capture proves who spoke ([`sender`], [`lock`]). Where the
//! bridge stands among the machine's own interfaces, as on Docker, it is cut off from the machine, too
//! ([`machine`]).

pub mod host;
pub mod lock;
pub mod machine;
pub mod netlink;
mod ready;
pub mod sender;

use super::{Lack, Warning};

/// What is to be told of a wire that could not be closed, and why it could not.
pub fn is_open(why: &str) -> Warning {
    Warning { lacks: Lack::ClosedWire, text: format!("the lab's wire is not closed: {why}") }
}
