//! Clients that did the same. If there are many, the figure shows the first few and says how many more there were.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::{
    sockets::Key,
    trace::{Passed, ProcessTrace, SocketTrace, Trace},
};
use crate::{judge::Verdict, report::Evidence, time::Nanos, timeline::What};

/// How many of the clients that did the same are shown...
const FEW: usize = 2;
/// ...if there are more than this many.
const MANY: usize = FEW + 1;

/// What is hidden because others did the same.
#[derive(Debug, Default)]
pub(super) struct Alike {
    /// The programs that are the clients.
    pub programs: HashSet<String>,
    /// How many clients are hidden, and from when on.
    pub more: Vec<More>,
    /// The sockets of both ends.
    keys: HashSet<Key>,
    /// The processes that served them.
    processes: HashSet<(String, i32)>,
    /// The ports of hidden clients and the pids of those processes, which the server may print; then those of all
    /// others.
    numbers: HashSet<u64>,
    others: HashSet<u64>,
}

/// Clients that are hidden.
#[derive(Debug)]
pub(super) struct More {
    /// When the first of them began.
    pub at: Nanos,
    /// Their host.
    pub host: String,
    pub count: usize,
}

/// A connection, with the programs and the process that exist for it alone.
struct Client<'t> {
    key: &'t Key,
    first: Nanos,
    process: Option<&'t ProcessTrace>,
    programs: Vec<&'t str>,
}

/// What a client did, without times and numbers.
#[derive(PartialEq, Eq, Hash)]
struct Deeds {
    /// The exercise's step in which it began.
    step: usize,
    client: String,
    server: (String, u16),
    segments: Vec<Passed>,
    /// How the client's socket, the server's, and the process that served it ended up.
    ends: [Option<&'static str>; 2],
    process: Option<char>,
}

impl Alike {
    /// Finds the clients that did the same as earlier ones.
    pub fn of(evidence: &Evidence, trace: &Trace) -> Self {
        let mut groups: IndexMap<Deeds, Vec<Client>> = IndexMap::new();
        let events = evidence.timeline.events().iter();
        let steps = events.filter(|event| matches!(event.what, What::Say { .. })).map(|event| event.at);
        let steps: Vec<Nanos> = steps.collect();
        for client in clients(evidence, trace) {
            let step = steps.partition_point(|at| *at <= client.first);
            groups.entry(client.deeds(step, trace)).or_default().push(client);
        }
        let wanted = Wanted::of(evidence);
        let mut this = Self::default();
        for (deeds, clients) in groups {
            let (shown, more): (Vec<_>, Vec<_>) =
                clients.into_iter().enumerate().partition(|(n, client)| *n < FEW || wanted.has(client));
            let is_folded = shown.len() + more.len() > MANY && !more.is_empty();
            if let Some((_, first)) = more.first().filter(|_| is_folded) {
                this.more.push(More { at: first.first, host: deeds.client, count: more.len() });
            }
            for (clients, is_hidden) in [(shown, false), (more, is_folded)] {
                for (_, client) in clients {
                    this.take_in(&client, is_hidden);
                }
            }
        }
        this
    }

    fn take_in(&mut self, client: &Client, is_hidden: bool) {
        let port = client.key.peer.iter().map(|(_, port)| u64::from(*port));
        let pid = client.process.and_then(|process| u64::try_from(process.pid).ok());
        let numbers = port.chain(pid);
        if !is_hidden {
            return self.others.extend(numbers);
        }
        self.numbers.extend(numbers);
        self.keys.extend([Some(client.key.clone()), client.key.other()].into_iter().flatten());
        self.programs.extend(client.programs.iter().map(|name| (*name).to_owned()));
        self.processes.extend(client.process.map(|process| (process.host.clone(), process.pid)));
    }

    /// Whether the socket is hidden.
    pub fn hides(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Whether the process is hidden.
    pub fn hides_process(&self, host: &str, pid: i32) -> bool {
        !self.processes.is_empty() && self.processes.contains(&(host.to_owned(), pid))
    }

    /// Whether a line that a server printed names a hidden client, or the process that served it, and no other.
    pub fn is_about(&self, line: &str) -> bool {
        let digits = line.split(|c: char| !c.is_ascii_digit());
        let numbers: Vec<u64> = digits.filter_map(|digits| digits.parse().ok()).collect();
        numbers.iter().any(|n| self.numbers.contains(n)) && numbers.iter().all(|n| !self.others.contains(n))
    }
}

/// Every connection to a port of the exercise, by when it began.
fn clients<'t>(evidence: &Evidence, trace: &'t Trace) -> Vec<Client<'t>> {
    let is_ours = |port: u16| evidence.ports.values().any(|own| *own == port);
    let served = || trace.sockets.iter().filter(|(key, _)| key.peer.is_some() && is_ours(key.port));
    let mut served_by: HashMap<(&str, i32), usize> = HashMap::new();
    let mut connections: HashMap<&str, usize> = HashMap::new();
    for (key, socket) in &trace.sockets {
        for program in &socket.programs {
            *connections.entry(program).or_default() += 1;
        }
        let owners: HashSet<i32> =
            socket.looks.iter().filter_map(|(_, look)| look.and_then(|l| l.owner)).collect();
        // Only a process that holds no other socket exists for this client alone.
        let owners =
            owners.into_iter().filter(|owner| key.peer.is_none() || socket.only_owner() == Some(*owner));
        for owner in owners {
            *served_by.entry((&key.host, owner)).or_default() += 1;
        }
    }
    let client = |(key, socket): (&'t Key, &'t SocketTrace)| {
        let pid = socket.only_owner().filter(|pid| served_by.get(&(&*key.host, *pid)) == Some(&1));
        let mut processes = trace.processes.iter().filter(|p| p.host == key.host && Some(p.pid) == pid);
        let peer = key.other().and_then(|other| trace.sockets.get(&other));
        let programs = peer.into_iter().flat_map(|peer| peer.programs.iter().map(String::as_str));
        Client {
            key,
            first: socket.first.min(peer.map_or(Nanos::MAX, |peer| peer.first)),
            process: processes.next().filter(|_| processes.next().is_none()),
            programs: programs.filter(|program| connections.get(program) == Some(&1)).collect(),
        }
    };
    let mut clients: Vec<Client> = served().map(client).collect();
    clients.sort_by_key(|client| client.first);
    clients
}

impl Client<'_> {
    fn deeds(&self, step: usize, trace: &Trace) -> Deeds {
        let other = self.key.other().and_then(|other| trace.sockets.get(&other));
        let ends = [other, trace.sockets.get(self.key)];
        let last = |socket: Option<&SocketTrace>| socket?.looks.last()?.1.map(|look| look.state.as_str());
        let mut segments: Vec<Passed> = ends[1]
            .into_iter()
            .flat_map(|socket| socket.segments.iter().map(|(_, passed)| *passed))
            .collect();
        segments.dedup();
        Deeds {
            step,
            client: self.key.peer.as_ref().map(|(host, _)| host.clone()).unwrap_or_default(),
            server: (self.key.host.clone(), self.key.port),
            segments,
            ends: ends.map(last),
            process: self
                .process
                .filter(|process| process.gone.is_none())
                .and_then(|process| process.rows.last())
                .map(|(_, row)| row.state),
        }
    }
}

/// What the checks that did not pass are about, which must be shown.
struct Wanted {
    ports: HashSet<[(String, u16); 2]>,
    processes: HashSet<(String, i32)>,
}

impl Wanted {
    fn of(evidence: &Evidence) -> Self {
        let failed = evidence.outcome.checks.iter().filter(|check| check.verdict != Verdict::Pass);
        let moments: Vec<_> = failed.filter_map(|check| check.moment.as_ref()).collect();
        let packets = evidence.timeline.events().iter().filter_map(|event| match &event.what {
            What::Packet(packet) if moments.iter().any(|m| m.packet == Some(packet.number)) => Some(packet),
            _ => None,
        });
        Self {
            ports: packets.map(|p| ends((&p.from, p.from_port), (&p.to, p.to_port))).collect(),
            processes: moments.iter().filter_map(|m| m.process.clone()).map(|p| (p.host, p.pid)).collect(),
        }
    }

    fn has(&self, client: &Client) -> bool {
        let is_process = |p: &ProcessTrace| self.processes.contains(&(p.host.clone(), p.pid));
        let key = client.key;
        client.process.is_some_and(is_process)
            || key
                .peer
                .as_ref()
                .is_some_and(|(host, port)| self.ports.contains(&ends((host, *port), (&key.host, key.port))))
    }
}

/// A connection's ends in a fixed order, whichever end sends.
fn ends(one: (&str, u16), other: (&str, u16)) -> [(String, u16); 2] {
    let mut ends = [one, other].map(|(host, port)| (host.to_owned(), port));
    ends.sort_unstable();
    ends
}
