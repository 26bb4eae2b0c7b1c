//! A short account of a run: repetitions of what others did are counted and summed up in one line.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{Focus, wording::count};
use crate::{
    capture::Flags,
    timeline::{Event, Packet, What},
};

/// Maximum number of similar things shown; the rest are counted.
const MOST_ALIKE: usize = 3;

/// Maximum number of a connection's packets shown between two actions, not counting those that open or close it.
const MOST_ORDINARY: usize = 8;

/// Maximum number of packets and printed lines shown between two actions.
const MOST_COME: usize = 150;

/// A connection: the client's host and port, and the server's.
type Connection = (String, u16, String, u16);

/// Decides which events of a run are shown and which are only counted. Within a step, these are similar: programs
/// with the same command on the same host, and all that becomes of them; lines of one program that differ only in
/// their numbers; and signals to one program.
#[derive(Default)]
pub struct Brief {
    focus: Focus,
    /// How many events of each kind there were since the step began.
    seen: HashMap<String, usize>,
    /// Programs that are only counted.
    counted: HashSet<String>,
    /// The programs of each host that have not made a connection yet, in the order in which they were started.
    unconnected: HashMap<String, VecDeque<String>>,
    /// Every connection so far, and whether it is only counted.
    connections: HashMap<Connection, bool>,
    /// Packets since the last action, by connection; then packets and printed lines together.
    ordinary: HashMap<Connection, usize>,
    come: usize,
    tally: BTreeMap<Counted, usize>,
}

/// What is counted, in the order in which it is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    Clients,
    Inputs,
    Prints,
    Ends,
    Signals,
    Packets,
}

impl Counted {
    fn in_words(self, n: usize) -> String {
        let (one, many) = match self {
            Self::Clients => ("program started", "programs started"),
            Self::Inputs => ("input", "inputs"),
            Self::Prints => ("line printed", "lines printed"),
            Self::Ends => ("program ended", "programs ended"),
            Self::Signals => ("signal", "signals"),
            Self::Packets => ("packet", "packets"),
        };
        count(n, one, many)
    }
}

impl Brief {
    /// A short account of a run that is about to begin; `focus` is what its checks ask about.
    pub fn new(focus: Focus) -> Self {
        Self { focus, ..Self::default() }
    }

    /// Whether the event is only counted.
    pub fn counts(&mut self, event: &Event) -> bool {
        let counted = match &event.what {
            What::Say { .. } => {
                self.seen.clear();
                None
            }
            What::Started { program, host, command, .. } => {
                let is_alike = self.is_alike(format!("{host} {command}")) && !self.focus.has_program(program);
                if is_alike {
                    self.counted.insert(program.clone());
                }
                self.unconnected.entry(host.clone()).or_default().push_back(program.clone());
                is_alike.then_some((Counted::Clients, 1))
            }
            What::Typed { program, .. } | What::EndOfFile { program } => {
                self.counted.contains(program).then_some((Counted::Inputs, 1))
            }
            What::Ended { program, host, .. } => {
                if let Some(waiting) = self.unconnected.get_mut(host) {
                    waiting.retain(|one| one != program);
                }
                self.counted.contains(program).then_some((Counted::Ends, 1))
            }
            What::Signaled { program, signal, .. } => {
                self.is_alike(format!("{program} {signal}")).then_some((Counted::Signals, 1))
            }
            What::Printed { program, text, .. } => {
                let lines = text.lines().count();
                self.come += lines;
                // Counts every line, so that none is counted twice.
                let new =
                    text.lines().filter(|line| !self.is_alike(format!("{program}: {}", shape(line)))).count();
                let is_counted = self.counted.contains(program) || new == 0 || self.come > MOST_COME;
                is_counted.then_some((Counted::Prints, lines))
            }
            What::Packet(packet) => {
                self.come += 1;
                (self.counts_packet(packet) || self.come > MOST_COME).then_some((Counted::Packets, 1))
            }
            _ => None,
        };
        if let Some((what, n)) = counted {
            *self.tally.entry(what).or_default() += n;
        } else if is_done(&event.what) {
            self.come = 0;
            self.ordinary.clear();
        }
        counted.is_some()
    }

    /// Sums up what was counted so far, before an action that is shown and at the end of the run.
    pub fn sum_up(&mut self, next: Option<&Event>) -> Option<String> {
        if next.is_some_and(|event| !is_done(&event.what)) || self.tally.is_empty() {
            return None;
        }
        let tally = std::mem::take(&mut self.tally);
        let parts: Vec<String> = tally.iter().map(|(what, n)| what.in_words(*n)).collect();
        Some(match tally.get(&Counted::Clients) {
            Some(1) => format!("… and one more client like this one: {}", parts.join(", ")),
            Some(n) => format!("… and {n} more clients like this one: {}", parts.join(", ")),
            None => format!("… and more like this: {}", parts.join(", ")),
        })
    }

    /// Whether enough of that kind have been shown in this step.
    fn is_alike(&mut self, kind: String) -> bool {
        let seen = self.seen.entry(kind).or_default();
        *seen += 1;
        *seen > MOST_ALIKE
    }

    fn counts_packet(&mut self, packet: &Packet) -> bool {
        let there = (packet.from.clone(), packet.from_port, packet.to.clone(), packet.to_port);
        let back = (packet.to.clone(), packet.to_port, packet.from.clone(), packet.from_port);
        let connection = if self.connections.contains_key(&back) { back } else { there };
        let is_counted = match self.connections.get(&connection) {
            Some(is_counted) => *is_counted,
            None => {
                // Programs are assumed to connect in the order in which they start.
                let program = self.unconnected.get_mut(&connection.0).and_then(VecDeque::pop_front);
                let is_counted = program.is_some_and(|program| self.counted.contains(&program));
                self.connections.insert(connection.clone(), is_counted);
                is_counted
            }
        };
        let opens_or_closes = packet.flags.any(Flags::SYN | Flags::FIN | Flags::RST);
        if is_counted || opens_or_closes || packet.retransmission {
            return is_counted;
        }
        let ordinary = self.ordinary.entry(connection).or_default();
        *ordinary += 1;
        *ordinary > MOST_ORDINARY
    }
}

/// Whether the event is an action or says something about the run. What was counted is summed up before it.
fn is_done(what: &What) -> bool {
    !matches!(
        what,
        What::Packet(_)
            | What::Printed { .. }
            | What::Ended { .. }
            | What::Sockets { .. }
            | What::Processes { .. }
            | What::Silent { .. }
            | What::Begun
    )
}

/// A line with every number replaced.
fn shape(line: &str) -> String {
    let mut shape = String::with_capacity(line.len());
    for c in line.chars() {
        match (c.is_ascii_digit(), shape.ends_with('#')) {
            (true, true) => {}
            (true, false) => shape.push('#'),
            (false, _) => shape.push(c),
        }
    }
    shape
}
