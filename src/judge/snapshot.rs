//! What is known about a run at one moment: the tables of every host, the conversations on the wire, and the started
//! programs with all their processes. It is computed from the run's events up to then.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
};

use indexmap::IndexMap;

use super::program::Program;
use crate::{
    capture::{Conversation, Conversations, Names, Seen, Segment, TcpState},
    exercise::Roles,
    kernel::SocketRow,
    observer::{ProcessRow, Tables},
    record::Record,
    signals,
    timeline::{Event, What},
    topology::Plan,
};

/// A run at one moment. Exercises wait for facts about it, and checks ask for them.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The exercise's ports, by name.
    pub ports: IndexMap<String, u16>,
    /// Which host plays which part.
    pub roles: Roles,
    /// The hosts' names by address.
    pub names: Names,
    /// The latest tables.
    pub tables: Tables,
    /// The conversations so far.
    pub conversations: Conversations,
    /// The programs started, by the exercise's name for them.
    pub programs: IndexMap<String, Program>,
    /// What each program had used at each look so far.
    pub used_at: HashMap<(String, String), Used>,
    /// By host, the processes that existed before the program under judgement, and their descendants.
    pub strangers: BTreeMap<String, Program>,
    /// The remote ends of the connections that such a process served.
    pub strange: HashSet<SocketAddr>,
    /// Whether a program is under judgement.
    is_judging: bool,
}

/// What a program uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Processor time of all its processes so far, in ticks.
    pub ticks: u64,
    /// Descriptors that its parent process holds.
    pub descriptors: u64,
}

impl Snapshot {
    /// A run of an exercise with these ports on this lab, before anything has been seen.
    pub fn new(plan: &Plan, ports: &IndexMap<String, u16>) -> Self {
        Self { ports: ports.clone(), names: plan.addresses().collect(), ..Self::default() }
    }

    /// A recorded run before anything had been seen.
    pub fn before(record: &Record) -> Self {
        Self {
            roles: record.roles.clone(),
            is_judging: record.judged.is_some(),
            ..Self::new(&record.plan, &record.ports)
        }
    }

    /// A recorded run as it was at the end.
    pub fn after(record: &Record) -> Self {
        let mut end = Self::before(record);
        record.timeline.events().iter().for_each(|event| end.apply(event));
        end
    }

    /// Applies what was done or seen next.
    pub fn apply(&mut self, event: &Event) {
        match &event.what {
            What::Begun if self.is_judging => self.expect_no_strangers(),
            What::Packet(packet) => {
                if let Some(segment) = packet.segment(event.at) {
                    self.push(&segment);
                }
            }
            What::Sockets { host, rows } => {
                self.tables.set_sockets(host, rows);
                self.refresh(host);
            }
            What::Processes { host, rows } => {
                self.tables.set_processes(host, rows);
                self.refresh(host);
            }
            What::Look { name } => {
                self.note_use(name);
                self.note_servants();
            }
            What::Switched { host, power: Some(false), .. } => self.lose_power(host),
            What::Started { program, host, command, pid, own, .. } => {
                let started = Program { is_own: *own, ..Program::new(host, command, *pid) };
                self.programs.insert(program.clone(), started);
                self.refresh(host);
            }
            what => self.apply_to_program(what),
        }
    }

    fn apply_to_program(&mut self, what: &What) {
        let (What::Printed { program: name, .. }
        | What::Ended { program: name, .. }
        | What::Silent { program: name }
        | What::Signaled { program: name, .. }) = what
        else {
            return;
        };
        let Some(program) = self.programs.get_mut(name) else { return };
        match what {
            What::Printed { text, .. } => program.printed.push_str(text),
            What::Ended { status, .. } => program.ended = Some(*status),
            What::Silent { .. } => program.silent = true,
            What::Signaled { signal, .. } => program.signaled.extend(signals::parse(signal).ok()),
            _ => {}
        }
    }

    /// Applies a TCP segment that passed. Returns what it was to its conversation.
    pub fn push(&mut self, segment: &Segment<'_>) -> Seen {
        self.conversations.push(segment)
    }

    /// The host that plays a part, or the name itself if it is no part.
    pub fn host<'s>(&'s self, part: &'s str) -> &'s str {
        self.roles.get(part).map_or(part, String::as_str)
    }

    /// Marks every process that exists now as a stranger. From now on a program is judged.
    fn expect_no_strangers(&mut self) {
        for host in self.tables.hosts() {
            let mut strangers = Program::new(host, "", None);
            // PID 1 is no stranger: it adopts the orphans of every program.
            let there = self.tables.processes(host).iter().filter(|process| process.pid != 1);
            strangers.family = there.map(|process| (process.pid, 0)).collect();
            self.strangers.insert(host.to_owned(), strangers);
        }
    }

    /// Whether a socket is held only by strangers.
    pub fn is_strange(&self, host: &str, socket: &SocketRow) -> bool {
        let Some(strangers) = self.strangers.get(host) else { return false };
        let is_stranger = |pid: &i32| strangers.has(*pid) && self.program_of(host, *pid).is_none();
        !socket.owners.is_empty() && socket.owners.iter().all(is_stranger)
    }

    /// The program that a process of that host belongs to, by the exercise's name for it.
    pub fn program_of(&self, host: &str, pid: i32) -> Option<(&str, &Program)> {
        let mut programs = self.programs.iter().filter(|(_, program)| program.host == host);
        programs.find(|(_, program)| program.has(pid)).map(|(name, program)| (&**name, program))
    }

    /// Notes which of the programs' work is done by programs that are not the student's. Called at the moments that
    /// checks can ask about.
    fn note_servants(&mut self) {
        for program in self.programs.values_mut() {
            program.find_servant(
                self.tables.processes(&program.host),
                self.tables.sockets(&program.host),
                &self.ports,
            );
        }
    }

    /// The number of conversations with that port that a stranger served.
    pub fn strange_talks(&self, port: u16) -> usize {
        self.conversations
            .iter()
            .filter(|c| c.server.port() == port && self.strange.contains(&c.client))
            .count()
    }

    /// Brings the families of a host's programs up to date with its tables.
    fn refresh(&mut self, host: &str) {
        for program in self.programs.values_mut().filter(|program| program.host == host) {
            program.grow(
                self.tables.processes(&program.host),
                self.tables.sockets(&program.host),
                &self.ports,
            );
        }
        let Some(strangers) = self.strangers.get_mut(host) else { return };
        strangers.grow_family(self.tables.processes(host));
        let of_ours = |socket: &&SocketRow| self.ports.values().any(|port| *port == socket.local.port());
        let sockets = self.tables.sockets(host).iter().filter(of_ours);
        let strange = sockets.filter(|s| s.state != TcpState::Listen && self.is_strange(host, s));
        let strange: Vec<SocketAddr> = strange.map(|s| s.remote).collect();
        self.strange.extend(strange);
    }

    /// Forgets which program each process of a host belonged to, as the host has lost its power. None of the processes
    /// exist any longer, and the host will reuse their PIDs.
    fn lose_power(&mut self, host: &str) {
        for program in self.programs.values_mut().filter(|p| p.host == host) {
            program.lost_power = true;
            program.pid = None;
            program.parent = None;
            program.family.clear();
        }
    }

    /// The number of the port with that name, by default `port`.
    pub fn port(&self, name: Option<&str>) -> u16 {
        self.ports.get(name.unwrap_or("port")).copied().unwrap_or_default()
    }

    /// The host's TCP sockets with that port at either end, except strangers'.
    pub fn sockets<'s>(&'s self, host: &'s str, port: u16) -> impl Iterator<Item = &'s SocketRow> {
        let has_port = move |s: &&SocketRow| s.local.port() == port || s.remote.port() == port;
        self.tables.sockets(host).iter().filter(has_port).filter(|s| !self.is_strange(host, s))
    }

    /// The conversations with that port, in the order in which they began, except those that a stranger served.
    pub fn talks(&self, port: u16) -> impl Iterator<Item = Conversation> {
        self.conversations
            .iter()
            .filter(move |c| c.server.port() == port && !self.strange.contains(&c.client))
    }

    /// The processes of a program, including zombies.
    pub fn processes<'s>(&'s self, program: &'s Program) -> impl Iterator<Item = &'s ProcessRow> {
        self.tables.processes(&program.host).iter().filter(|p| program.has(p.pid))
    }

    /// Returns what a program uses now.
    pub fn used(&self, program: &Program) -> Used {
        let parent = self.processes(program).find(|p| program.parent == Some(p.pid));
        Used {
            ticks: self.processes(program).map(|p| p.ticks).sum(),
            descriptors: parent.map_or(0, |p| p.descriptors),
        }
    }

    /// Remembers what each program uses at this look.
    fn note_use(&mut self, look: &str) {
        let used: Vec<_> = self
            .programs
            .iter()
            .map(|(name, program)| ((look.to_owned(), name.clone()), self.used(program)))
            .collect();
        self.used_at.extend(used);
    }

    /// Whether the process is a child of some program's listening process, and not an orphan.
    pub fn is_child(&self, host: &str, pid: i32) -> bool {
        let process = self.tables.process(host, pid);
        process.is_some_and(|p| self.programs.values().any(|q| q.host == host && q.is_child_now(p)))
    }

    /// Whether the process is some program's listening process.
    pub fn is_parent(&self, host: &str, pid: i32) -> bool {
        self.programs.values().any(|p| p.host == host && p.parent == Some(pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::TcpState,
        judge::program::tests::{process, socket},
        observer::Seen,
    };

    #[test]
    fn what_was_there_before_is_a_stranger_with_all_that_comes_of_it() {
        let mut snapshot = Snapshot { ports: [("port".into(), 8002)].into(), ..Snapshot::default() };
        let rows = vec![process(1, 0, 1), process(5, 1, 5)];
        snapshot.tables.apply(&Seen::Processes { at: 0, host: "server".into(), rows });
        snapshot.expect_no_strangers();
        snapshot.programs.insert("server".into(), Program::new("server", "/lab/server", Some(10)));
        let now = vec![
            process(1, 0, 1),
            process(5, 1, 5),
            process(6, 5, 5),
            process(10, 1, 10),
            process(11, 10, 10),
        ];
        snapshot.tables.apply(&Seen::Processes { at: 0, host: "server".into(), rows: now });
        snapshot.refresh("server");
        for (owners, is_strange) in
            [(&[5][..], true), (&[6], true), (&[10], false), (&[6, 11], false), (&[99], false), (&[], false)]
        {
            let is = snapshot.is_strange("server", &socket(TcpState::Established, owners));
            assert_eq!(is, is_strange, "{owners:?}");
        }
    }
}
