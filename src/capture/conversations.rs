//! Assembles TCP segments into connections.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use indexmap::IndexSet;

use super::{Conversation, Names, Seen, Segment, analysis::End, tracked::Tracked};

/// Every TCP connection of a capture. Takes TCP segments as they pass, live or from a file; its memory grows with
/// the connections and not with the packets. A packet in a tunnel belongs to the connection between the
/// addresses inside the tunnel.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    hosts: IndexSet<IpAddr>,
    /// The index in `all` of the latest connection between two ends, the lower end first.
    latest: HashMap<(End, End), u32>,
    all: Vec<Tracked>,
}

impl Conversations {
    /// Starts without any connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next TCP segment.
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

    /// Returns the connections in the order in which they began.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Conversation> {
        self.all.iter().map(|tracked| tracked.summary(|end| self.address(end)))
    }

    /// Like [`Conversations::iter`], with the host names that are known.
    pub fn named(&self, names: &Names) -> impl ExactSizeIterator<Item = Conversation> {
        self.iter().map(|mut conversation| {
            conversation.client_name = names.get(conversation.client.ip()).map(str::to_owned);
            conversation.server_name = names.get(conversation.server.ip()).map(str::to_owned);
            conversation
        })
    }

    /// Returns the connection with the index from [`Seen::conversation`].
    pub fn get(&self, conversation: usize) -> Option<Conversation> {
        self.all.get(conversation).map(|tracked| tracked.summary(|end| self.address(end)))
    }

    fn address(&self, end: End) -> SocketAddr {
        SocketAddr::new(self.hosts[end.host as usize], end.port)
    }

    /// Returns the number of connections.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Converts an index to 32 bits, to save memory: more connections than that would take a terabyte.
fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
