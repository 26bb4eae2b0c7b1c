//! The summary of one TCP connection.

use std::{fmt, net::SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Flags;
use crate::time::Nanos;

/// One TCP connection, as reconstructed from its packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The end that opened it: the sender of the SYN, or if none was seen, the end with the higher port.
    pub client: SocketAddr,
    /// The other end.
    pub server: SocketAddr,
    /// The client's host name, if known.
    pub client_name: Option<String>,
    /// The server's host name, if known.
    pub server_name: Option<String>,
    /// Packets, both ways.
    pub packets: u64,
    /// Bytes of these packets' frames, both ways.
    pub bytes: u64,
    /// Whether the handshake is complete: each SYN seen, and each acknowledged.
    pub handshake: bool,
    /// How much of the handshake was seen.
    pub opening: Handshake,
    /// How it ended.
    pub close: Close,
    /// Who sent the first FIN.
    pub fin_by: Option<Side>,
    /// Who sent the first RST, unless the connection had been closed by then.
    pub rst_by: Option<Side>,
    /// The TCP segments that closed it: the FINs, the segments without data that acknowledged them, and
    /// each side's first RST, without retransmissions. Three are enough: a FIN, a FIN that also
    /// acknowledges, and an ACK.
    pub closing: Vec<Step>,
    /// Retransmitted TCP segments, both ways.
    pub retransmissions: u64,
    /// Time from the SYN that was answered to the end of the handshake, in nanoseconds.
    pub rtt_ns: Option<Nanos>,
    /// When the first packet passed.
    pub first: Nanos,
    /// When the last packet passed.
    pub last: Nanos,
    /// What the client sent.
    pub to_server: Flow,
    /// What the server sent.
    pub to_client: Flow,
}

impl Conversation {
    /// Returns what this side sent.
    pub fn sent_by(&self, side: Side) -> &Flow {
        match side {
            Side::Client => &self.to_server,
            Side::Server => &self.to_client,
        }
    }

    /// Returns this side's address.
    pub fn address(&self, side: Side) -> SocketAddr {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

/// What one side of a connection sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// Packets.
    pub packets: u64,
    /// Bytes of these packets' frames.
    pub bytes: u64,
    /// Bytes of data in them, not counting retransmissions.
    pub payload: u64,
    /// Retransmitted TCP segments: they carried what had passed before, or filled a gap because the first copy was
    /// lost before it reached the watched wire.
    pub retransmissions: u64,
    /// TCP segments out of order: they filled a gap sooner than a retransmission could have.
    pub out_of_order: u64,
    /// TCP segments that only asked whether the other side is still there.
    pub keepalives: u64,
    /// TCP segments that only asked whether the other side's window is still closed.
    pub window_probes: u64,
    /// Packets that had already been seen on another interface of the same capture, or outside or inside a tunnel;
    /// included in the packets and shown nowhere else.
    pub copies: u64,
    /// Packets from inside a tunnel, whose ends may have made them up; omitted if there are none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub tunnelled: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The end that opened it.
    Client,
    /// The other end.
    Server,
}

impl Side {
    /// Returns the other side.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// A TCP segment of the closing: who sent it, and its control bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Who sent it.
    pub by: Side,
    /// Its control bits.
    pub flags: Flags,
}

impl Step {
    /// Returns whether this side resets the connection with it.
    pub(super) fn is_rst_of(self, side: Side) -> bool {
        self.by == side && self.flags.has(Flags::RST)
    }
}

/// How much of a handshake was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Handshake {
    /// No SYN: the capture began later.
    None,
    /// Part of it: refused, unanswered, or partly before the capture.
    Partial,
    /// Both SYNs, and an acknowledgment of each.
    Complete,
}

impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Partial => "partial",
            Self::Complete => "complete",
        })
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Close {
    /// Each side sent its FIN.
    Fin,
    /// A side reset it before both FINs were acknowledged.
    Rst,
    /// Not closed, or by one side only.
    Open,
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Open => "open",
        })
    }
}
