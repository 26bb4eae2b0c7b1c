//! The contents of a ladder diagram: hosts side by side, time downwards, one arrow per packet. How to draw it is
//! up to other files.

mod text;

use std::net::IpAddr;

use super::{Seen, Segment, SeqAnalysis, Side, states::States};
use crate::{capture::TcpState, time::Nanos};

pub use text::{Charset, draw};

/// A ladder diagram.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    /// The hosts from left to right, in the order in which they appear, so that most are next to the hosts they
    /// talk to.
    pub hosts: Vec<IpAddr>,
    /// The arrows, from the top down.
    pub rungs: Vec<Rung>,
    /// Each connection's states so far, by [`Seen::conversation`].
    states: Vec<Option<States>>,
}

/// One packet, as an arrow.
#[derive(Clone, Debug)]
pub struct Rung {
    /// When it passed.
    pub at: Nanos,
    /// Its sender, as an index into the hosts.
    pub from: usize,
    /// Its receiver.
    pub to: usize,
    /// Its connection, from [`Seen::conversation`].
    pub conversation: usize,
    /// The client's port, which distinguishes a host's connections.
    pub client_port: u16,
    /// Control bits and length: `PSH+ACK len 6`.
    pub label: String,
    /// Whether it carried anything new.
    pub analysis: SeqAnalysis,
    /// The sender's state after it, if it changed.
    pub from_state: Option<TcpState>,
    /// The receiver's state after it, if it changed.
    pub to_state: Option<TcpState>,
}

impl Ladder {
    /// Starts with an empty diagram.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a TCP segment. A copy on another interface adds no second arrow.
    pub fn push(&mut self, segment: &Segment<'_>, seen: &Seen) {
        if seen.analysis == SeqAnalysis::Copy {
            return;
        }
        if self.states.len() <= seen.conversation {
            self.states.resize(seen.conversation + 1, None);
        }
        let states = self.states[seen.conversation].get_or_insert_with(|| States::before(segment));
        let before = *states;
        states.push(segment, seen);
        let after = *states;
        let changed = |side| (before.of(side) != after.of(side)).then(|| after.of(side));
        let client = if seen.by == Side::Client { segment.src } else { segment.dst };
        let (from, to) = (self.host(segment.src.ip()), self.host(segment.dst.ip()));
        self.rungs.push(Rung {
            at: segment.at,
            from,
            to,
            conversation: seen.conversation,
            client_port: client.port(),
            label: label(segment),
            analysis: seen.analysis,
            from_state: changed(seen.by),
            to_state: changed(seen.by.peer()),
        });
    }

    fn host(&mut self, address: IpAddr) -> usize {
        self.hosts.iter().position(|host| *host == address).unwrap_or_else(|| {
            self.hosts.push(address);
            self.hosts.len() - 1
        })
    }
}

fn label(segment: &Segment<'_>) -> String {
    let label = match segment.len {
        0 => segment.flags.to_string(),
        len => format!("{} len {len}", segment.flags),
    };
    if segment.tunnels > 0 { label + " tunnel" } else { label }
}
