//! TCP segments, one by one, into connections.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use indexmap::IndexSet;

use super::{Conversation, Names, Segment, Side, tracked::Tracked};

/// Every TCP connection of a capture. Takes segments as they pass, live or from a file; its memory
/// grows with the connections and not with the packets. A packet in a tunnel belongs to the connection between
/// the addresses in the tunnel, whatever the tunnel is.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    hosts: IndexSet<IpAddr>,
    /// Where the latest connection between two ends is in `all`. Lower end first.
    latest: HashMap<(End, End), u32>,
    all: Vec<Tracked>,
}

/// One end of a connection: its host, as an index, and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct End {
    host: u32,
    pub port: u16,
}

/// What a segment was to its connection.
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
    /// Whether anything in it had not passed before.
    pub analysis: SeqAnalysis,
}

/// Whether a segment brought something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeqAnalysis {
    /// It did, or it only acknowledged.
    New,
    /// It carried again what had been sent before: it had passed, or came after a round trip to fill a gap.
    Retransmission,
    /// It was overtaken: it filled a gap before anybody could have noticed that.
    OutOfOrder,
    /// It asked whether the other side is still there.
    KeepAlive,
    /// It asked whether the other side's window is still shut.
    WindowProbe,
    /// The same packet as seen on another interface.
    Copy,
}

impl Conversations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next segment.
    pub fn push(&mut self, segment: &Segment<'_>) -> Seen {
        let [src, dst] = [segment.src, segment.dst].map(|address| self.end(address));
        let latest = self.latest.entry(if src <= dst { (src, dst) } else { (dst, src) }).or_insert(u32::MAX);
        if self.all.get(*latest as usize).is_none_or(|tracked| tracked.is_succeeded_by(src, segment)) {
            *latest = index(self.all.len());
            self.all.push(Tracked::new(src, dst, segment));
        }
        let conversation = *latest as usize;
        self.all[conversation].push(src, segment, conversation)
    }

    fn end(&mut self, address: SocketAddr) -> End {
        End { host: index(self.hosts.insert_full(address.ip()).0), port: address.port() }
    }

    /// The connections in the order in which they began.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Conversation> {
        self.all.iter().map(|tracked| tracked.tell(|end| self.address(end)))
    }

    /// The same, with host names where they are known.
    pub fn named(&self, names: &Names) -> impl ExactSizeIterator<Item = Conversation> {
        self.iter().map(|mut told| {
            told.client_name = names.get(told.client.ip()).map(str::to_owned);
            told.server_name = names.get(told.server.ip()).map(str::to_owned);
            told
        })
    }

    /// The connection that [`Seen::conversation`] means.
    pub fn get(&self, conversation: usize) -> Option<Conversation> {
        self.all.get(conversation).map(|tracked| tracked.tell(|end| self.address(end)))
    }

    fn address(&self, end: End) -> SocketAddr {
        SocketAddr::new(self.hosts[end.host as usize], end.port)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Connections are numbered in 32 bits, to save memory: more would take a terabyte of it.
fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
