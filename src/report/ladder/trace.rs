//! One walk over a run's timeline with the judge's own snapshot: the states in which every socket and process was
//! seen, and what the TCP segments on the wire say about when those states began.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;

use super::{
    concerns, is_server,
    sockets::{Key, settled},
};
use crate::{
    capture::TcpState,
    capture::{Flags, SeqAnalysis, States},
    judge::Snapshot,
    kernel::SocketRow,
    observer::ProcessRow,
    report::Evidence,
    time::Nanos,
    timeline::{Event, Packet, What},
};

/// What the figure is drawn from.
#[derive(Default)]
pub(super) struct Trace {
    /// Every socket with a port of the exercise, in the order in which they first appeared.
    pub sockets: IndexMap<Key, SocketTrace>,
    /// Every process of a program that was started on a server; parents before their children.
    pub processes: Vec<ProcessTrace>,
    /// The times of the SYNs that each port of a host answered with SYN,ACK, and of those that it answered with RST.
    pub answered: HashMap<(String, u16), Vec<Nanos>>,
    pub refused: HashMap<(String, u16), Vec<Nanos>>,
    /// Each start of a program.
    pub programs: Vec<Begun>,
    /// When the run ended.
    pub end: Nanos,
}

/// A program's beginning: when it was started, and when it first printed something.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub program: String,
    pub host: String,
    pub pid: Option<i32>,
    pub at: Nanos,
    pub prints: Option<Nanos>,
}

/// A socket, in the tables and on the wire.
#[derive(Clone, Debug, Default)]
pub(super) struct SocketTrace {
    /// When it was first and last seen.
    pub first: Nanos,
    pub last: Nanos,
    /// What each table showed of it; `None` once it was gone.
    pub looks: Vec<(Nanos, Option<Seen>)>,
    /// The states that its TCP segments put it into, with the time of each (RFC 9293, 3.3.2).
    pub made: Vec<(Nanos, TcpState)>,
    /// The TCP segments of its connection, and whether it sent them.
    pub segments: Vec<(Nanos, Passed)>,
    /// The programs whose processes held it.
    pub programs: BTreeSet<String>,
}

/// A socket in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub state: TcpState,
    pub owner: Option<i32>,
    pub queue: u32,
}

/// A TCP segment of a socket's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Passed {
    pub is_sent: bool,
    pub kind: Kind,
    pub again: bool,
}

/// What a TCP segment does. Bare acknowledgments are not counted: timers decide when one is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Syn,
    Data,
    Fin,
    Rst,
}

impl Kind {
    fn of(packet: &Packet) -> Option<Self> {
        let flags = [(Flags::RST, Self::Rst), (Flags::SYN, Self::Syn), (Flags::FIN, Self::Fin)];
        let control = flags.into_iter().find(|(flag, _)| packet.flags.has(*flag)).map(|(_, kind)| kind);
        control.or((packet.len > 0).then_some(Self::Data))
    }
}

/// A process in the tables.
#[derive(Clone, Debug)]
pub(super) struct ProcessTrace {
    pub host: String,
    pub pid: i32,
    /// Together with `pid`, identifies a process uniquely.
    pub started: u64,
    /// The exercise's name for the program that it belongs to.
    pub program: String,
    /// The parent it was first seen with, if that is a process of the same program.
    pub elder: Option<i32>,
    /// Each time that it was seen.
    pub rows: Vec<(Nanos, ProcessRow)>,
    /// The time of the last table before it appeared; 0 if there was none.
    pub absent: Nanos,
    /// When it was seen to be gone.
    pub gone: Option<Nanos>,
}

impl Trace {
    /// Walks over a run.
    pub fn of(evidence: &Evidence) -> Self {
        let mut walk = Walk {
            evidence,
            snapshot: Snapshot::new(&evidence.plan, &evidence.ports),
            states: HashMap::new(),
            asked: HashMap::new(),
            present: BTreeMap::new(),
            processes: IndexMap::new(),
            tables: HashMap::new(),
            trace: Self::default(),
        };
        for event in evidence.timeline.events() {
            walk.follow(event);
        }
        walk.finish()
    }
}

struct Walk<'e> {
    evidence: &'e Evidence,
    snapshot: Snapshot,
    /// The states of both ends of each conversation.
    states: HashMap<usize, States>,
    /// When the latest SYN was sent to a socket, by the socket that would answer.
    asked: HashMap<Key, Nanos>,
    /// The sockets in each host's latest table.
    present: BTreeMap<String, Vec<Key>>,
    /// Every process of every server, and whether it belongs to a program.
    processes: IndexMap<(String, i32, u64), (ProcessTrace, bool)>,
    /// When each server's processes were last seen.
    tables: HashMap<String, Nanos>,
    trace: Trace,
}

impl Walk<'_> {
    fn follow(&mut self, event: &Event) {
        let at = event.at;
        self.trace.end = self.trace.end.max(at);
        match &event.what {
            What::Packet(packet) => self.packet(at, packet),
            what => {
                self.snapshot.apply(event);
                match what {
                    What::Sockets { host, rows } => self.sockets(at, host, rows),
                    What::Processes { host, rows } if is_server(&self.evidence.plan, host) => {
                        self.take_in(at, host, rows);
                    }
                    What::Started { program, host, pid, .. } => {
                        let (program, host) = (program.clone(), host.clone());
                        self.trace.programs.push(Begun { program, host, pid: *pid, at, prints: None });
                    }
                    What::Printed { program, .. } => self.print(at, program),
                    _ => {}
                }
                if let What::Sockets { host, .. }
                | What::Processes { host, .. }
                | What::Started { host, .. } = what
                {
                    self.find_members(host);
                }
            }
        }
    }

    /// A TCP segment changes the states of both ends.
    fn packet(&mut self, at: Nanos, packet: &Packet) {
        let change = packet.segment(at).and_then(|segment| {
            let seen = self.snapshot.push(&segment);
            let states = self.states.entry(seen.conversation).or_insert_with(|| States::before(&segment));
            let both = |states: &States| [states.of(seen.by), states.of(seen.by.peer())];
            let before = both(states);
            if seen.analysis != SeqAnalysis::Copy {
                states.push(&segment, &seen);
            }
            (seen.analysis != SeqAnalysis::Copy).then(|| (before, both(states)))
        });
        if !concerns(self.evidence, packet.from_port, packet.to_port) {
            return;
        }
        let ends = Key::ends(packet);
        self.answer(at, packet, &ends);
        for (n, key) in ends.into_iter().enumerate() {
            let socket = self.touch(key, at);
            let passed =
                Kind::of(packet).map(|kind| Passed { is_sent: n == 0, kind, again: packet.retransmission });
            socket.segments.extend(passed.map(|passed| (at, passed)));
            if let Some((before, after)) = change
                && before[n] != after[n]
            {
                socket.made.push((at, after[n]));
            }
        }
    }

    /// Records which SYNs a port answers, and how.
    fn answer(&mut self, at: Nanos, packet: &Packet, [from, to]: &[Key; 2]) {
        let port = || (from.host.clone(), from.port);
        if packet.flags.has(Flags::RST) {
            if let Some(asked) = self.asked.remove(from) {
                self.trace.refused.entry(port()).or_default().push(asked);
            }
        } else if packet.flags.has(Flags::SYN | Flags::ACK) {
            if let Some(asked) = self.asked.remove(from) {
                self.trace.answered.entry(port()).or_default().push(asked);
            } else if !packet.retransmission {
                // Its SYN was not captured here.
                self.trace.answered.entry(port()).or_default().push(at);
            }
        } else if packet.flags.has(Flags::SYN) {
            self.asked.insert(to.clone(), at);
        }
    }

    fn touch(&mut self, key: Key, at: Nanos) -> &mut SocketTrace {
        let socket = self.trace.sockets.entry(key);
        let socket = socket.or_insert_with(|| SocketTrace { first: at, ..SocketTrace::default() });
        socket.last = socket.last.max(at);
        socket
    }

    fn sockets(&mut self, at: Nanos, host: &str, rows: &[SocketRow]) {
        let mut present = Vec::new();
        for row in rows {
            if !concerns(self.evidence, row.local.port(), row.remote.port()) {
                continue;
            }
            let key = Key::of(host, row, &self.snapshot.names);
            let seen = self.look(host, row);
            let program = seen.owner.and_then(|pid| self.snapshot.program_of(host, pid));
            let program = program.map(|(name, _)| name.to_owned());
            let socket = self.touch(key.clone(), at);
            // Two sockets may listen on one port, on different addresses.
            if socket.looks.last().is_none_or(|(before, _)| *before != at || key.peer.is_some()) {
                socket.looks.push((at, Some(seen)));
            }
            socket.programs.extend(program);
            present.push(key);
        }
        for key in self.present.insert(host.to_owned(), present.clone()).unwrap_or_default() {
            if !present.contains(&key) {
                self.touch(key, at).looks.push((at, None));
            }
        }
    }

    /// A listening socket belongs to its program's first process, although the children hold it, too; a connection
    /// belongs to the youngest process that holds it.
    fn look(&self, host: &str, row: &SocketRow) -> Seen {
        let is_listening = row.state == TcpState::Listen;
        let holder = || self.snapshot.tables.holder(host, row).map(|process| process.pid);
        let youngest = row.owners.last().copied();
        let owner = if is_listening { holder().or(youngest) } else { youngest };
        Seen { state: row.state, owner, queue: if is_listening { row.recv_q } else { 0 } }
    }

    /// Takes in the processes of a host.
    fn take_in(&mut self, at: Nanos, host: &str, rows: &[ProcessRow]) {
        let before = self.tables.insert(host.to_owned(), at).unwrap_or_default();
        let is_there = |p: &ProcessTrace| rows.iter().any(|row| (row.pid, row.started) == (p.pid, p.started));
        for (process, _) in self.processes.values_mut() {
            if process.host == host && process.gone.is_none() && !is_there(process) {
                process.gone = Some(at);
            }
        }
        for row in rows {
            let (process, _) =
                self.processes.entry((host.to_owned(), row.pid, row.started)).or_insert_with(|| {
                    let (host, pid, started) = (host.to_owned(), row.pid, row.started);
                    let new = ProcessTrace {
                        host,
                        pid,
                        started,
                        program: String::new(),
                        elder: None,
                        rows: Vec::new(),
                        absent: before,
                        gone: None,
                    };
                    (new, false)
                });
            process.gone = None;
            process.rows.push((at, row.clone()));
        }
    }

    /// Asks the snapshot which programs the host's processes belong to.
    fn find_members(&mut self, host: &str) {
        for (process, belongs) in self.processes.values_mut() {
            if process.host != host || process.gone.is_some() || *belongs {
                continue;
            }
            if let Some((name, program)) = self.snapshot.program_of(host, process.pid) {
                name.clone_into(&mut process.program);
                process.elder = program.elder(process.pid);
                *belongs = true;
            }
        }
    }

    /// Output that arrives after every process of the program is gone was printed before the last of them ended.
    fn print(&mut self, at: Nanos, program: &str) {
        if let Some(begun) = self.trace.programs.iter_mut().rfind(|begun| begun.program == program) {
            begun.prints.get_or_insert(at);
        }
        let mine = || self.processes.values().filter(|(process, _)| process.program == program);
        if mine().all(|(process, _)| process.gone.is_some()) {
            let last = self.processes.values_mut().filter(|(process, _)| process.program == program);
            if let Some((process, _)) = last.max_by_key(|(process, _)| process.gone) {
                process.gone = process.gone.max(Some(at));
            }
        }
    }

    fn finish(mut self) -> Trace {
        let end = self.trace.end;
        for key in self.present.into_values().flatten() {
            if let Some(socket) = self.trace.sockets.get_mut(&key) {
                socket.last = end;
            }
        }
        let members = self.processes.into_values().filter(|(_, belongs)| *belongs);
        self.trace.processes = members.map(|(process, _)| process).collect();
        self.trace.processes.sort_by_key(|p| (p.rows.first().map(|(at, _)| *at), p.started, p.pid));
        self.trace
    }
}

impl SocketTrace {
    /// The only process that held it, ignoring those that held it only in passing.
    pub fn only_owner(&self) -> Option<i32> {
        let looks = settled(&self.looks);
        let mut owners = looks.iter().filter_map(|(_, look)| look.and_then(|look| look.owner));
        let first = owners.next()?;
        owners.all(|owner| owner == first).then_some(first)
    }

    /// When it first sent data or a FIN after that time.
    pub fn first_sent(&self, after: Nanos) -> Option<Nanos> {
        let sent =
            self.segments.iter().filter(|(_, s)| s.is_sent && matches!(s.kind, Kind::Data | Kind::Fin));
        sent.map(|(at, _)| *at).find(|at| *at > after)
    }
}
