//! The figure of a run, a sequence diagram: hosts side by side, time downwards, packets between them, and beside
//! them the states of sockets and the lifelines of processes. This module decides where everything stands, in rows
//! and lanes; renderers decide how it looks.
//!
//! Each row is a moment at which something happened, so rows are in the order of time but not to scale. A long
//! wait is a row of its own that says how long it was.

mod alike;
mod fold;
mod labels;
mod lifelines;
mod order;
mod rows;
mod sockets;
#[cfg(test)]
pub(crate) mod tests;
mod trace;

use std::borrow::Cow;

use crate::{
    capture::TcpState,
    judge::Verdict,
    time::Nanos,
    timeline::{Packet, What},
    topology::{Plan, Role},
};

use super::Evidence;
use alike::Alike;
use labels::Shown;
pub use lifelines::{Activity, Lifeline};
pub use sockets::{Holder, Look, SocketLine};
use trace::Trace;

/// A run in rows and lanes.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// The hosts that took part, from left to right, with servers in the middle.
    pub hosts: Vec<Column>,
    /// The hosts' sockets.
    pub sockets: Vec<SocketLine>,
    /// The processes of the server's programs.
    pub lifelines: Vec<Lifeline>,
    /// How many lanes the processes need.
    pub lifeline_lanes: usize,
    /// What happened, from top to bottom.
    pub rows: Vec<Row>,
    /// How many clients are not shown because others did the same.
    pub more: usize,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its address, if it is a host of the lab.
    pub address: Option<String>,
    /// How many lanes its sockets need; at least one.
    pub lanes: usize,
}

/// A moment.
#[derive(Clone, Debug)]
pub struct Row {
    /// When, in nanoseconds since the run began.
    pub at: Nanos,
    /// What happened; several things only if they are in different places.
    pub items: Vec<Item>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Item {
    /// The exercise began a step. Takes the whole row.
    Step {
        /// Counted from 1.
        number: usize,
        /// What the exercise says about it.
        text: String,
    },
    /// Nothing happened for a while. Takes the whole row.
    Wait {
        /// For how long.
        idle: Nanos,
    },
    /// A packet passed.
    Arrow {
        /// The packet.
        packet: Packet,
        /// The sender's socket.
        from: Place,
        /// The receiver's socket.
        to: Place,
    },
    /// The middle of a long exchange of data.
    Bulk {
        /// The socket on the left.
        from: Place,
        /// The socket on the right.
        to: Place,
        /// How many packets passed.
        packets: usize,
        /// How many bytes of data were in them.
        bytes: u64,
        /// How many lines programs printed meanwhile.
        lines: usize,
    },
    /// A socket changed.
    Socket {
        /// Index into [`Ladder::sockets`].
        line: usize,
        /// Its place.
        place: Place,
        /// Where its label is.
        side: Side,
        /// What it is now.
        text: String,
    },
    /// A TCP segment ended a socket's state, and no table showed the next one. Takes no room.
    Unseen {
        /// Index into [`Ladder::sockets`].
        line: usize,
    },
    /// A process began, changed, was sent a signal, or ended.
    Process {
        /// Index into [`Ladder::lifelines`].
        lifeline: usize,
        /// Which of these happened.
        transition: Transition,
        /// The same in words.
        text: String,
    },
    /// Something was typed, printed or done on a host.
    Note {
        /// The host.
        place: Place,
        /// Where the note is.
        side: Side,
        /// What it is about.
        kind: NoteKind,
        /// What it says.
        text: String,
    },
    /// The moment of a check that did not pass. Takes the whole row.
    Verdict {
        /// The check's id.
        check: String,
        /// Its verdict.
        verdict: Verdict,
        /// The id and the observation.
        text: String,
    },
}

/// A lane of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Ladder::hosts`].
    pub host: usize,
    /// The lane, from 0.
    pub lane: usize,
}

/// The side of its host on which a label is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// To the left.
    Left,
    /// To the right.
    Right,
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It appeared.
    Born,
    /// Its state or its parent changed.
    Changed,
    /// It is gone.
    Ended,
    /// It was sent a signal.
    Signaled,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// An action of a person: a line typed, ^D, a signal.
    Input,
    /// An action of a program: a line printed, its end.
    Output,
    /// From the exercise: it gave up waiting, or could not see something.
    Remark,
    /// The exercise looked.
    Look,
    /// Other clients did the same and are not shown.
    More,
}

/// A range of rows over which something stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<T> {
    /// Its first row.
    pub from: usize,
    /// The row at which it ends.
    pub until: usize,
    /// What stays the same.
    pub is: T,
}

/// How closely things are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Density {
    /// Things that happen at the same time in different places share a row.
    Shared,
    /// Everything has its own row, and so the whole width for its label.
    Single,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The first few of many clients that did the same, and the beginning and end of long exchanges and outputs.
    Few,
    /// Every client; long exchanges and outputs as with [`Detail::Few`].
    Clients,
}

/// A run whose timeline has been followed once, to be laid out as often as figures are drawn of it.
pub struct Followed<'e> {
    /// The run.
    pub evidence: Cow<'e, Evidence>,
    hosts: Vec<String>,
    trace: Trace,
}

impl<'e> Followed<'e> {
    /// Follows a run.
    pub fn new(evidence: Cow<'e, Evidence>) -> Self {
        let (hosts, trace) = (columns(&evidence), Trace::of(&evidence));
        Self { evidence, hosts, trace }
    }

    /// Lays out the figure of the run.
    pub fn ladder(&self, density: Density, detail: Detail) -> Ladder {
        let Self { evidence, hosts, trace } = self;
        let alike = match detail {
            Detail::Few => Alike::of(evidence, trace),
            Detail::Clients => Alike::default(),
        };
        let mut sockets = sockets::lines(trace, hosts, |key| alike.hides(key));
        let hides = |process: &trace::ProcessTrace| alike.hides_process(&process.host, process.pid);
        let mut lifelines = lifelines::lines(evidence, trace, &sockets, hides);
        sockets::find_holders(&mut sockets, hosts, &lifelines);
        let lifeline_lanes = give_lanes(trace, hosts.len(), &mut sockets, &mut lifelines);
        let shown = Shown { evidence, hosts, sockets: &sockets, lifelines: &lifelines, alike: &alike };
        let is_wanted = |packet: &Packet| {
            let failed = evidence.outcome.checks.iter().filter(|check| check.verdict != Verdict::Pass);
            failed.filter_map(|check| check.moment.as_ref()).any(|m| m.packet == Some(packet.number))
        };
        let items = fold::fold(&shown.items(), is_wanted);
        let start = evidence.timeline.events().first().map_or(0, |e| e.at);
        let rows = rows::lay_out(items, start, hosts.len(), density, &mut sockets, &mut lifelines);
        let columns = hosts.iter().enumerate().map(|(i, name)| Column {
            name: name.clone(),
            address: evidence.plan.host(name).map(|host| host.address().to_string()),
            lanes: sockets.iter().filter(|s| s.host == i).map(|s| s.lane + 1).max().unwrap_or(1),
        });
        let more = alike.more.iter().map(|more| more.count).sum();
        Ladder { hosts: columns.collect(), sockets, lifelines, lifeline_lanes, rows, more }
    }
}

impl Ladder {
    /// The figure of a run that is drawn once.
    #[cfg(test)]
    pub fn new(evidence: &Evidence, density: Density, detail: Detail) -> Self {
        Followed::new(Cow::Borrowed(evidence)).ladder(density, detail)
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.lifelines.is_empty()
    }

    /// The states that its sockets were in, without repetition.
    pub fn states(&self) -> Vec<TcpState> {
        let mut states: Vec<_> =
            self.sockets.iter().flat_map(|s| &s.spans).map(|span| span.is.state).collect();
        states.sort_unstable();
        states.dedup();
        states
    }
}

/// Gives every line a lane that is free at its time; returns how many lanes the processes need.
fn give_lanes(trace: &Trace, hosts: usize, sockets: &mut [SocketLine], lifelines: &mut [Lifeline]) -> usize {
    for host in 0..hosts {
        let mut base = 0;
        for group in 0..3 {
            let mut mine: Vec<&mut SocketLine> =
                sockets.iter_mut().filter(|line| (line.host, line.group) == (host, group)).collect();
            let stretch = |line: &SocketLine| {
                let socket = &trace.sockets[&line.key];
                (line.changes.first().map_or(socket.first, |(at, _)| at.at.min(socket.first)), socket.last)
            };
            mine.sort_by_key(|line| stretch(line));
            let taken = lanes(mine.iter().map(|line| stretch(line)));
            for (line, lane) in mine.iter_mut().zip(&taken) {
                line.lane = base + lane;
            }
            base += taken.iter().max().map_or(0, |lane| lane + 1);
        }
    }
    let mut order: Vec<&mut Lifeline> = lifelines.iter_mut().collect();
    order.sort_by_key(|line| line.begun);
    let taken =
        lanes(order.iter().map(|line| (line.begun.at, line.ended.map_or(trace.end, |ended| ended.at))));
    for (line, lane) in order.iter_mut().zip(&taken) {
        line.lane = *lane;
    }
    taken.iter().max().map_or(0, |lane| lane + 1)
}

/// The hosts that took part: servers in the middle, the others alternately to their left and right, so that
/// with two clients no arrow crosses a host.
fn columns(evidence: &Evidence) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    let mut add = |name| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for event in evidence.timeline.events() {
        match &event.what {
            What::Packet(p) if concerns(evidence, p.from_port, p.to_port) => {
                add(&p.from);
                add(&p.to);
            }
            What::Started { host, .. } => add(host),
            _ => {}
        }
    }
    let order = |name: &str| evidence.plan.hosts.iter().position(|h| h.name == name).unwrap_or(usize::MAX);
    names.sort_by_key(|name| order(name));
    let (servers, others): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| is_server(&evidence.plan, name));
    let left = others.iter().step_by(2).rev();
    let right = others.iter().skip(1).step_by(2);
    left.chain(&servers).chain(right).map(|name| (*name).to_owned()).collect()
}

fn is_server(plan: &Plan, host: &str) -> bool {
    plan.host(host).is_some_and(|h| h.role == Role::Server)
}

/// Whether either end has a port of the exercise.
fn concerns(evidence: &Evidence, a: u16, b: u16) -> bool {
    evidence.ports.values().any(|port| *port == a || *port == b)
}

/// Assigns each stretch of time the lowest lane in which it overlaps no other. They are ordered by their
/// beginnings.
fn lanes(stretches: impl Iterator<Item = (Nanos, Nanos)>) -> Vec<usize> {
    let mut free_from: Vec<Nanos> = Vec::new();
    stretches
        .map(|(begin, end)| {
            let lane = free_from.iter().position(|free| *free < begin).unwrap_or(free_from.len());
            free_from.resize(free_from.len().max(lane + 1), end);
            free_from[lane] = end;
            lane
        })
        .collect()
}
