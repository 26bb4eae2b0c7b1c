//! The sockets of a run, from when each was first seen to when it was last seen.
//!
//! Tables are sampled, so a state is seen after it began. It is drawn where it began: at the TCP segment that caused
//! it, and for LISTEN before the first SYN that the port answered. TCP segments only supply the time; a state that no
//! table showed is not drawn.

use std::collections::HashMap;

use super::{
    Side, Span,
    lifelines::Lifeline,
    order::{Moment, Rank, ascending},
    trace::{Seen, SocketTrace, Trace},
};
use crate::{capture::Names, capture::TcpState, kernel::SocketRow, time::Nanos, timeline::Packet};

/// A look followed by another of the same state sooner than this is in transition: between accept and fork a
/// socket changes hands twice.
const SETTLED: Nanos = 50_000_000;

/// One socket over time.
#[derive(Clone, Debug)]
pub struct SocketLine {
    /// Index of its host.
    pub host: usize,
    /// Its lane there, from 0.
    pub lane: usize,
    /// What it was, in rows. There is no span where no table showed the state.
    pub spans: Vec<Span<Look>>,
    /// Whether its labels are to the left or to the right of its host.
    pub side: Side,
    /// Whether it is a connection to the left (0), listens (1), or is a connection to the right (2).
    pub(super) group: usize,
    pub(super) key: Key,
    pub(super) changes: Vec<(Moment, Change)>,
}

/// How a socket looks in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its state.
    pub state: TcpState,
    /// Who holds it.
    pub holder: Holder,
    /// For a listening socket, the connections that wait to be accepted.
    pub queue: u32,
}

/// Who holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Unknown: the state began before any table showed who held the socket.
    Unknown,
    /// No process.
    Nobody,
    /// The process with that pid: the youngest of several, and for a listening socket the one that listens.
    Process(i32),
}

/// A change of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It looks like this from now on.
    Looks(Look),
    /// A TCP segment ended its state, and no table showed the next one.
    Unseen,
    /// It is gone.
    Gone,
}

/// Identifies a socket: its host, its port, and its peer's host and port. A listening socket has no peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub host: String,
    pub port: u16,
    pub peer: Option<(String, u16)>,
}

impl Key {
    /// The two ends of a packet, its sender's first.
    pub fn ends(packet: &Packet) -> [Self; 2] {
        let from = Self {
            host: packet.from.clone(),
            port: packet.from_port,
            peer: Some((packet.to.clone(), packet.to_port)),
        };
        let to = from.other().unwrap_or_else(|| from.clone());
        [from, to]
    }

    /// The other end of the connection.
    pub fn other(&self) -> Option<Self> {
        let (host, port) = self.peer.clone()?;
        Some(Self { host, port, peer: Some((self.host.clone(), self.port)) })
    }

    pub fn of(host: &str, row: &SocketRow, names: &Names) -> Self {
        let peer = (row.remote.port() != 0).then(|| (names.host(row.remote.ip()), row.remote.port()));
        Self { host: host.to_owned(), port: row.local.port(), peer }
    }
}

/// Every socket of these hosts that is not hidden. Lanes and spans are set later.
pub(super) fn lines(trace: &Trace, hosts: &[String], is_hidden: impl Fn(&Key) -> bool) -> Vec<SocketLine> {
    let mut lines = Vec::new();
    for (host, name) in hosts.iter().enumerate() {
        // Connections to the left are on the left, those to the right on the right, listening sockets between them.
        let place = |key: &Key| match &key.peer {
            None => 1,
            Some((peer, _)) if hosts.iter().position(|h| h == peer).is_some_and(|peer| peer < host) => 0,
            Some(_) => 2,
        };
        let mine = trace.sockets.iter().filter(|(key, _)| key.host == *name && !is_hidden(key));
        lines.extend(mine.map(|(key, socket)| SocketLine {
            host,
            lane: 0,
            spans: Vec::new(),
            side: side(host, hosts.len(), place(key) == 0),
            group: place(key),
            key: key.clone(),
            changes: changes(trace, key, socket),
        }));
    }
    lines
}

/// A state may have begun before the process that was seen to hold the socket: a server's child holds a connection
/// since its fork, not since the handshake.
pub(super) fn find_holders(lines: &mut [SocketLine], hosts: &[String], lifelines: &[Lifeline]) {
    for line in lines {
        let begun = |pid: i32, by: Moment| {
            let is_it = |l: &&Lifeline| l.host == hosts[line.host] && l.pid == pid;
            let mut its = lifelines.iter().filter(is_it).map(|l| l.begun);
            its.clone().rfind(|begun| *begun <= by).or_else(|| its.next())
        };
        let mut changes = Vec::with_capacity(line.changes.len());
        for (n, (at, change)) in line.changes.iter().enumerate() {
            let Change::Looks(look @ Look { holder: Holder::Process(pid), .. }) = *change else {
                changes.push((*at, *change));
                continue;
            };
            match begun(pid, *at).filter(|begun| begun > at) {
                None => changes.push((*at, *change)),
                Some(begun) => {
                    let until = line.changes.get(n + 1).map(|(next, _)| *next);
                    changes.push((*at, Change::Looks(Look { holder: Holder::Unknown, ..look })));
                    let held = Moment { at: begun.at, rank: begun.rank.max(Rank::Before) };
                    if until.is_none_or(|until| held < until) {
                        changes.push((held, Change::Looks(look)));
                    }
                }
            }
        }
        line.changes = changes;
    }
}

/// Labels face the other hosts.
pub(super) fn side(host: usize, hosts: usize, leftwards: bool) -> Side {
    let outermost_right = host > 0 && host + 1 == hosts;
    if outermost_right || (host > 0 && leftwards) { Side::Left } else { Side::Right }
}

/// Returns the lane of every socket. If several have the same key, the first counts.
pub(super) fn lanes_of(lines: &[SocketLine]) -> HashMap<&Key, usize> {
    lines.iter().rev().map(|line| (&line.key, line.lane)).collect()
}

/// The changes of a socket, and when they happened.
fn changes(trace: &Trace, key: &Key, socket: &SocketTrace) -> Vec<(Moment, Change)> {
    let mut changes = Changes { all: Vec::new(), left: None };
    let mut listening = Listening::of(trace, key);
    for (at, seen) in settled(&socket.looks) {
        match seen.map_or(TcpState::Close, |seen| seen.state) {
            TcpState::Listen => changes.listens(&mut listening, at, seen),
            TcpState::Close if changes.listened() => {
                changes.all.push((listening.ends(at), Change::Gone));
            }
            state => changes.connects(&socket.made, at, state, seen),
        }
    }
    changes.leave(&socket.made, Nanos::MAX);
    let mut all = changes.all;
    ascending(&mut all);
    all
}

/// The changes found so far.
struct Changes {
    all: Vec<(Moment, Change)>,
    /// For a connection, the index of the TCP segment that ends its state, among those that cause one.
    left: Option<usize>,
}

impl Changes {
    fn listened(&self) -> bool {
        matches!(self.all.last(), Some((_, Change::Looks(look))) if look.state == TcpState::Listen)
    }

    fn listens(&mut self, listening: &mut Listening, at: Nanos, seen: Option<Seen>) {
        let Some(look) = seen.map(Look::from) else { return };
        if !self.listened() {
            let begins = listening.begins(at);
            if begins.rank == Rank::Before && look.queue > 0 {
                // Nothing waited before the first SYN.
                self.all.push((begins, Change::Looks(Look { queue: 0, ..look })));
            } else {
                return self.all.push((begins, Change::Looks(look)));
            }
        }
        self.all.push((Moment::seen(at), Change::Looks(look)));
    }

    /// A table of that time shows a connection, or that it is gone.
    fn connects(&mut self, made: &[(Nanos, TcpState)], at: Nanos, state: TcpState, seen: Option<Seen>) {
        let change = seen.map_or(Change::Gone, |seen| Change::Looks(seen.into()));
        let next = self.left.unwrap_or_default();
        let is_made = |(when, is): &(Nanos, TcpState)| *when <= at && *is == state;
        if let Some(found) = made.get(next..).and_then(|rest| rest.iter().rposition(is_made)) {
            if found > 0 {
                self.leave(made, at);
            }
            self.all.push((Moment { at: made[next + found].0, rank: Rank::After }, change));
            self.left = Some(next + found + 1);
            return;
        }
        let is_same = matches!(self.all.last(), Some((_, Change::Looks(look))) if look.state == state);
        if is_same && self.ended(made, at).is_some() {
            // The table was read while the TCP segment that ended the state was being processed.
            return;
        }
        if !is_same {
            self.leave(made, at);
        }
        self.all.push((Moment::seen(at), change));
    }

    /// When a TCP segment ended the state, if one has by then. Where a link is cut, the one that caused it may pass
    /// after a table has shown it.
    fn ended(&self, made: &[(Nanos, TcpState)], by: Nanos) -> Option<Nanos> {
        let state = match self.all.last() {
            Some((_, Change::Looks(look))) => Some(look.state),
            _ => None,
        };
        let mut later = made.get(self.left?..)?.iter().filter(|(_, made)| Some(*made) != state);
        later.next().map(|(at, _)| *at).filter(|at| *at <= by)
    }

    /// Ends the state where a TCP segment ended it, if one has by then.
    fn leave(&mut self, made: &[(Nanos, TcpState)], by: Nanos) {
        if let Some(at) = self.ended(made, by)
            && matches!(self.all.last(), Some((_, Change::Looks(_))))
        {
            self.all.push((Moment { at, rank: Rank::After }, Change::Unseen));
        }
    }
}

/// When a port listened, judging by the SYNs that it answered and those that it refused.
struct Listening<'t> {
    answered: &'t [Nanos],
    refused: &'t [Nanos],
    since: Nanos,
}

impl<'t> Listening<'t> {
    fn of(trace: &'t Trace, key: &Key) -> Self {
        let port = (key.host.clone(), key.port);
        let [answered, refused] =
            [&trace.answered, &trace.refused].map(|all| all.get(&port).map_or(&[][..], Vec::as_slice));
        Self { answered, refused, since: 0 }
    }

    /// A port seen listening at that time was listening before the first SYN that it had answered by then.
    fn begins(&mut self, seen: Nanos) -> Moment {
        let first = self.answered.iter().find(|at| (self.since..=seen).contains(*at));
        let begins = first.map_or(Moment::seen(seen), |at| Moment { at: *at, rank: Rank::Before });
        self.since = begins.at;
        begins
    }

    /// A port seen closed at that time was closed before the first SYN that it had refused by then.
    fn ends(&mut self, seen: Nanos) -> Moment {
        let last = self.answered.iter().rfind(|at| **at <= seen).copied().unwrap_or_default().max(self.since);
        let first = self.refused.iter().find(|at| **at > last && **at <= seen);
        let ends = first.map_or(Moment::seen(seen), |at| Moment { at: *at, rank: Rank::Before });
        self.since = ends.at;
        ends
    }
}

impl From<Seen> for Look {
    fn from(seen: Seen) -> Self {
        let holder = seen.owner.map_or(Holder::Nobody, Holder::Process);
        Self { state: seen.state, holder, queue: seen.queue }
    }
}

/// Keeps only the looks that last, and of those only the ones that differ from the previous one.
pub(super) fn settled(looks: &[(Nanos, Option<Seen>)]) -> Vec<(Nanos, Option<Seen>)> {
    let state = |look: &Option<Seen>| look.map(|l| l.state);
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
