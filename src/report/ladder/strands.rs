//! The sockets of a run, from their first sign to their last.

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;

use super::{Side, Span, concerns, lanes};
use crate::{
    capture::TcpState,
    kernel::SocketRow,
    report::Evidence,
    time::Nanos,
    timeline::{Packet, What},
};

/// A look of the same state that lasts less is on its way to the next one: between accept and fork a
/// socket changes hands twice.
const SETTLED: Nanos = 50_000_000;

/// The life of one socket.
#[derive(Clone, Debug)]
pub struct Strand {
    /// Index of its host.
    pub host: usize,
    /// Its lane there, from 0.
    pub lane: usize,
    /// What it was, in rows.
    pub spans: Vec<Span<Look>>,
    /// Whether its words stand to the left or to the right of its host.
    pub side: Side,
    /// What it was at which time; none once it is gone.
    pub(super) looks: Vec<(Nanos, Option<Look>)>,
    pub(super) key: Key,
}

/// How a socket looks in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its state.
    pub state: TcpState,
    /// The process that holds it, the youngest if there are several.
    pub owner: Option<i32>,
    /// For a listening socket, the connections that wait to be accepted.
    pub queue: u32,
}

/// Names a socket: its host, its port, its peer's host and port. A listening socket has no peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub host: String,
    pub port: u16,
    pub peer: Option<(String, u16)>,
}

impl Key {
    /// The two ends of a packet, its sender's first.
    pub fn ends(packet: &Packet) -> [Self; 2] {
        let (from, to) = ((packet.from.clone(), packet.from_port), (packet.to.clone(), packet.to_port));
        [
            Self { host: from.0.clone(), port: from.1, peer: Some(to.clone()) },
            Self { host: to.0, port: to.1, peer: Some(from) },
        ]
    }

    fn of(host: &str, row: &SocketRow, names: &BTreeMap<String, String>) -> Self {
        let address = row.remote.ip().to_string();
        let name = names.get(&address).cloned().unwrap_or(address);
        let peer = (row.remote.port() != 0).then(|| (name, row.remote.port()));
        Self { host: host.to_owned(), port: row.local.port(), peer }
    }
}

#[derive(Default)]
struct Sighted {
    first: Nanos,
    last: Nanos,
    looks: Vec<(Nanos, Option<Look>)>,
}

/// Every socket of these hosts, with its lane. Its spans come with the rows.
pub(super) fn read(evidence: &Evidence, hosts: &[String]) -> Vec<Strand> {
    let mut strands: Vec<Strand> = Vec::new();
    let all = sight(evidence);
    let column = |name: &str| hosts.iter().position(|host| host == name);
    for (host, name) in hosts.iter().enumerate() {
        // Connections to the left are on the left, those to the right on the right, and between
        // them whoever listens.
        let place = |key: &Key| match &key.peer {
            None => 1,
            Some((peer, _)) if column(peer).is_some_and(|peer| peer < host) => 0,
            Some(_) => 2,
        };
        let mut base = 0;
        for group in 0..3 {
            let mine: Vec<_> = all.iter().filter(|(k, _)| k.host == *name && place(k) == group).collect();
            let taken = lanes(mine.iter().map(|(_, seen)| (seen.first, seen.last)));
            let side = side(host, hosts.len(), group == 0);
            strands.extend(mine.iter().zip(&taken).map(|((key, seen), lane)| Strand {
                host,
                lane: base + lane,
                spans: Vec::new(),
                side,
                looks: settle(&seen.looks),
                key: (*key).clone(),
            }));
            base += taken.iter().max().map_or(0, |lane| lane + 1);
        }
    }
    strands
}

/// Words stand towards the other hosts.
pub(super) fn side(host: usize, hosts: usize, leftwards: bool) -> Side {
    let outermost_right = host > 0 && host + 1 == hosts;
    if outermost_right || (host > 0 && leftwards) { Side::Left } else { Side::Right }
}

/// When each socket was seen, in the tables and on the wire.
fn sight(evidence: &Evidence) -> IndexMap<Key, Sighted> {
    let names: BTreeMap<String, String> =
        evidence.plan.addresses().map(|(address, name)| (address.to_string(), name.to_owned())).collect();
    let mut all: IndexMap<Key, Sighted> = IndexMap::new();
    let mut touch = |key: Key, at: Nanos, look: Option<Look>| {
        let seen = all.entry(key).or_insert_with(|| Sighted { first: at, ..Sighted::default() });
        seen.last = at;
        seen.looks.extend(look.map(|look| (at, Some(look))));
    };
    let mut present: BTreeMap<&str, Vec<Key>> = BTreeMap::new();
    let end = evidence.timeline.events().last().map_or(0, |e| e.at);
    let mut gone = Vec::new();
    for event in evidence.timeline.events() {
        match &event.what {
            What::Packet(packet) if concerns(evidence, packet.from_port, packet.to_port) => {
                for key in Key::ends(packet) {
                    touch(key, event.at, None);
                }
            }
            What::Sockets { host, rows } => {
                let ours = rows.iter().filter(|s| concerns(evidence, s.local.port(), s.remote.port()));
                let now: Vec<(Key, Look)> = ours.map(|s| (Key::of(host, s, &names), look(s))).collect();
                let before = present.insert(host, now.iter().map(|(key, _)| key.clone()).collect());
                let here: HashSet<&Key> = now.iter().map(|(key, _)| key).collect();
                let left = before.unwrap_or_default().into_iter().filter(|key| !here.contains(key));
                gone.extend(left.map(|key| (key, event.at)));
                for (key, look) in now {
                    touch(key, event.at, Some(look));
                }
            }
            _ => {}
        }
    }
    for (key, at) in gone {
        if let Some(seen) = all.get_mut(&key) {
            let after = seen.looks.partition_point(|(time, _)| *time <= at);
            seen.looks.insert(after, (at, None));
            seen.last = seen.last.max(at);
        }
    }
    for key in present.values().flatten() {
        if let Some(seen) = all.get_mut(key) {
            seen.last = end;
        }
    }
    all
}

fn look(row: &SocketRow) -> Look {
    let queue = if row.state == TcpState::Listen { row.recv_q } else { 0 };
    Look { state: row.state, owner: row.owners.last().copied(), queue }
}

/// Only what lasts, and of that only what differs from before.
fn settle(looks: &[(Nanos, Option<Look>)]) -> Vec<(Nanos, Option<Look>)> {
    let state = |look: &Option<Look>| look.map(|l| l.state);
    let passing = |i: usize| {
        let next = looks.get(i + 1);
        next.is_some_and(|n| {
            state(&n.1) == state(&looks[i].1) && n.0.saturating_sub(looks[i].0) < SETTLED && n.1 != looks[i].1
        })
    };
    let mut settled: Vec<_> = (0..looks.len()).filter(|i| !passing(*i)).map(|i| looks[i]).collect();
    settled.dedup_by(|next, before| next.1 == before.1);
    settled
}
