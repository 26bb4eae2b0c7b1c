//! A closed wire: what a port of a segment's bridge lets in, on either runtime.
//!
//! Each port is locked to its host, so that a capture proves who spoke ([`sender`], [`lock`]). Where the
//! bridge stands among the machine's own interfaces, as on Docker, it is cut off from the machine, too
//! ([`machine`]).

pub mod lock;
pub mod machine;
pub mod netlink;
mod ready;
pub mod sender;

/// Told as progress where the wire of a lab could not be closed, with the reason after it.
pub const OPEN_WIRE: &str = "the lab's wire is not closed";
