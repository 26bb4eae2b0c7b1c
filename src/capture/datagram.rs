//! IP datagrams and their fragments.

use std::net::IpAddr;

/// An IP datagram, or a fragment of one.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Sender.
    pub src: IpAddr,
    /// Receiver.
    pub dst: IpAddr,
    /// The payload's protocol, by its number in the IANA registry.
    pub protocol: u8,
    /// The payload's length on the wire, in bytes.
    pub len: u32,
    /// The captured part of the payload.
    pub payload: &'a [u8],
    /// Which part of the whole payload this is, if it is a fragment.
    pub fragment: Option<Fragment>,
}

/// Which part of a datagram a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The number that all fragments of one datagram share.
    pub id: u32,
    /// Its place in the whole payload, in bytes.
    pub offset: u32,
    /// Whether others follow it.
    pub more: bool,
}

impl Fragment {
    /// Returns whether there are other fragments besides it.
    pub fn is_part(self) -> bool {
        self.more || self.offset > 0
    }
}
