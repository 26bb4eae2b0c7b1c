//! A packet as a file of either format has it.

use super::{
    LinkType,
    input::{Stop, damaged},
};
use crate::time::Nanos;

/// The fields of a packet; its bytes are in those last taken from the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub at: Nanos,
    pub interface: u32,
    pub link: LinkType,
    pub len: u32,
    /// How far back in the bytes taken its own start, and how many there are.
    pub taken: usize,
    pub captured: usize,
}

/// Checks that the length of a packet is plausible, before its bytes are read.
pub(super) fn check_captured(captured: u32) -> Result<usize, Stop> {
    /// The longest packet of any interface, according to libpcap.
    const MAXIMUM_SNAPLEN: u32 = 262_144;
    if captured > MAXIMUM_SNAPLEN {
        return damaged(format!("a packet of {captured} captured bytes, more than any capture has"));
    }
    Ok(captured as usize)
}
