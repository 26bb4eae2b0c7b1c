//! The ladder of a run: hosts side by side, time downwards, packets between them, and beside them the
//! states of sockets and the lives of processes. This is where everything stands, in rows and lanes;
//! how it looks is for whoever draws it.
//!
//! Each row is a moment at which something happened, so rows are in the order of time and not to its
//! scale. A long wait is a row of its own that says how long it was.

mod lives;
mod rows;
mod strands;
mod words;

use crate::{
    capture::TcpState,
    time::Nanos,
    timeline::Packet,
    topology::{Plan, Role},
};

use super::Evidence;
pub use lives::{Activity, Life};
pub use strands::{Look, Strand};

/// A run in rows and lanes.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// The hosts that took part, from left to right; servers in the middle.
    pub hosts: Vec<Column>,
    /// The sockets of each of them.
    pub strands: Vec<Strand>,
    /// The processes of the server's programs.
    pub lives: Vec<Life>,
    /// How many lanes the processes need.
    pub life_lanes: usize,
    /// What happened, downwards.
    pub rows: Vec<Row>,
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
    /// What happened; more than one thing only if they are in different places.
    pub items: Vec<Item>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Item {
    /// The exercise began a step, counted from 1. Fills its row.
    Step { number: usize, text: String },
    /// Nothing happened for that long. Fills its row.
    Wait { idle: Nanos },
    /// A packet passed.
    Arrow { packet: Packet, from: Place, to: Place },
    /// Packets of a long exchange of data passed, too many to draw each of them.
    Bulk { from: Place, to: Place, packets: usize, bytes: u64 },
    /// A socket changed.
    Socket { strand: usize, place: Place, side: Side, text: String },
    /// A process was born, changed, was sent a signal, or ended.
    Process { life: usize, turn: Turn, text: String },
    /// Something was typed, printed or told on a host.
    Note { place: Place, side: Side, kind: NoteKind, text: String },
}

/// A lane of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Ladder::hosts`].
    pub host: usize,
    /// The lane, from 0.
    pub lane: usize,
}

/// On which side of its host something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Side {
    Left,
    Right,
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It appeared.
    Born,
    /// Its state, or its parent, is another one.
    Changed,
    /// It is gone.
    Ended,
    /// It was sent a signal.
    Signaled,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A person's doing: a line typed, ^D, a signal.
    Input,
    /// A program's: a line printed, its end.
    Output,
    /// The exercise's: it looked, waited in vain, could not see.
    Remark,
}

/// A stretch of rows over which something stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<T> {
    /// Its first row.
    pub from: usize,
    /// The row at which it is over.
    pub until: usize,
    /// What is so.
    pub is: T,
}

/// How closely things are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Density {
    /// What happens at the same time in different places shares a row.
    Shared,
    /// Everything has a row of its own, and so the whole width for its words.
    Single,
}

impl Ladder {
    /// The ladder of a run.
    pub fn new(evidence: &Evidence, density: Density) -> Self {
        let hosts = columns(evidence);
        let strands = strands::read(evidence, &hosts);
        let lives = lives::read(evidence);
        rows::lay_out(evidence, &hosts, strands, lives, density)
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.strands.is_empty() && self.lives.is_empty()
    }

    /// The states that its sockets were in, each once.
    pub fn states(&self) -> Vec<TcpState> {
        let mut states: Vec<_> =
            self.strands.iter().flat_map(|s| &s.spans).map(|span| span.is.state).collect();
        states.sort_unstable();
        states.dedup();
        states
    }
}

/// The hosts that took part: servers in the middle, the others by turns to their left and right, so
/// that with two clients no arrow crosses a host.
fn columns(evidence: &Evidence) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    let mut add = |name| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for event in evidence.timeline.events() {
        match &event.what {
            crate::timeline::What::Packet(p) if concerns(evidence, p.from_port, p.to_port) => {
                add(&p.from);
                add(&p.to);
            }
            crate::timeline::What::Started { host, .. } => add(host),
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

/// Whether a port of the exercise is at either end.
fn concerns(evidence: &Evidence, a: u16, b: u16) -> bool {
    evidence.ports.values().any(|port| *port == a || *port == b)
}

/// The smallest lanes in which stretches of time do not overlap. They come in the order of their
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
