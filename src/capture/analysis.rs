//! The meaning of a TCP segment for the connection it belongs to.

use super::Side;

/// One end of a connection: its host, as an index, and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct End {
    pub host: u32,
    pub port: u16,
}

/// The meaning of a TCP segment for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The connection, for [`Conversations::get`].
    pub conversation: usize,
    /// Who sent it.
    pub by: Side,
    /// Its sequence number, counted from the sender's SYN.
    pub seq: u32,
    /// Its acknowledgment number, counted from the other side's SYN.
    pub ack: u32,
    /// Whether it brought anything new.
    pub analysis: SeqAnalysis,
}

/// Whether a TCP segment brought anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeqAnalysis {
    /// It did, or it only acknowledged.
    New,
    /// It carried what had passed before, or filled a gap after a round trip.
    Retransmission,
    /// It filled a gap sooner than a retransmission could have.
    OutOfOrder,
    /// It asked whether the other side is still there.
    KeepAlive,
    /// It asked whether the other side's window is still closed.
    WindowProbe,
    /// The same packet as seen on another interface.
    Copy,
}
