//! What an exercise knows at one moment: the tables of every host, the conversations on the wire, and
//! the programs it started with all the processes that came of them.

use std::collections::{BTreeMap, HashMap};

use indexmap::IndexMap;

use super::{bind::Cast, foreign::is_foreign};
use crate::{
    capture::{Conversation, Conversations, Names},
    observer::{ProcessRow, SocketRow, Tables, TcpState},
    runtime::ExitStatus,
};

/// The lab as the exercise sees it. A copy of it is a moment that checks can ask about later.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The exercise's ports, by name.
    pub ports: IndexMap<String, u16>,
    /// Which host plays which part.
    pub cast: Cast,
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
}

/// What a program uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Processor time of all its processes so far, in ticks.
    pub ticks: u64,
    /// Descriptors that its parent process holds.
    pub descriptors: u64,
}

/// A program that the exercise started.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The host it runs on.
    pub host: String,
    /// As it was typed.
    pub command: String,
    /// Its first process, as the host numbers it; unknown if it ended before anyone could ask.
    pub pid: Option<i32>,
    /// What it printed on standard output and standard error, as it came.
    pub printed: String,
    /// How it ended, if it has.
    pub ended: Option<ExitStatus>,
    /// Whether nothing can come from it any more: its output is closed.
    pub silent: bool,
    /// The process that listens on a port of the exercise, once there was one.
    pub parent: Option<i32>,
    /// Whether one of its processes ran a copy of one of netlab's own programs.
    pub is_netlabs: bool,
    /// What listens, if that is nothing from the workspace.
    pub foreign: Option<String>,
    /// The signals that were sent to processes of it.
    pub signaled: Vec<i32>,
    /// Every process of it that was ever seen, by pid, with the one that it was first seen under: its
    /// parent, or the leader of its session where the parent had ended before anyone saw it.
    family: BTreeMap<i32, i32>,
}

impl Program {
    /// A program just started.
    pub fn new(host: &str, command: &str, pid: Option<i32>) -> Self {
        let family = pid.map(|pid| (pid, 0)).into_iter().collect();
        Self { host: host.into(), command: command.into(), pid, family, ..Self::default() }
    }

    /// Whether the process is, or was, one of this program's.
    pub fn has(&self, pid: i32) -> bool {
        self.family.contains_key(&pid)
    }

    /// Whether the process descends from the one that listens.
    pub fn is_child(&self, pid: i32) -> bool {
        let mut at = pid;
        while let Some(&parent) = self.family.get(&at) {
            if Some(parent) == self.parent {
                return true;
            }
            at = parent;
        }
        false
    }

    /// Whether the process is such a child, and still has its parent.
    pub fn is_child_now(&self, process: &ProcessRow) -> bool {
        self.is_child(process.pid) && self.has(process.ppid)
    }

    /// Takes in its host's tables: new members of the family, and who listens.
    fn grow(&mut self, processes: &[ProcessRow], sockets: &[SocketRow], ports: &IndexMap<String, u16>) {
        loop {
            let before = self.family.len();
            for process in processes {
                if let Some(elder) = [process.ppid, process.sid].into_iter().find(|pid| self.has(*pid)) {
                    self.family.entry(process.pid).or_insert(elder);
                }
            }
            if self.family.len() == before {
                break;
            }
        }
        self.is_netlabs |= processes.iter().any(|process| process.netlabs && self.has(process.pid));
        if self.parent.is_none() {
            let of_ours = |port| ports.values().any(|p| *p == port);
            let listening = sockets.iter().filter(|s| s.state == TcpState::Listen && of_ours(s.local.port()));
            self.parent = listening.flat_map(|s| &s.owners).copied().filter(|pid| self.has(*pid)).min();
        }
        // It may have been seen before it became what listens: what is seen last counts.
        let listener = processes.iter().find(|p| Some(p.pid) == self.parent && !p.program.is_empty());
        if let Some(listener) = listener {
            self.foreign = is_foreign(listener).then(|| listener.program.clone());
        }
    }
}

impl Scene {
    /// The host that plays a part, or the part itself where it names a host.
    pub fn host<'s>(&'s self, part: &'s str) -> &'s str {
        self.cast.get(part).map_or(part, String::as_str)
    }

    /// Brings the programs' families up to date with the tables of their hosts.
    pub fn refresh(&mut self) {
        for program in self.programs.values_mut() {
            program.grow(
                self.tables.processes(&program.host),
                self.tables.sockets(&program.host),
                &self.ports,
            );
        }
    }

    /// Forgets which processes were whose on a host that has lost its power: there are none any more, and
    /// the host will give their numbers to others.
    pub fn lose_power(&mut self, host: &str) {
        for program in self.programs.values_mut().filter(|p| p.host == host) {
            program.pid = None;
            program.parent = None;
            program.family.clear();
        }
    }

    /// The number of the port of that name; `port` if unset.
    pub fn port(&self, name: Option<&str>) -> u16 {
        self.ports.get(name.unwrap_or("port")).copied().unwrap_or_default()
    }

    /// The host's TCP sockets with that port at either end.
    pub fn sockets<'s>(&'s self, host: &str, port: u16) -> impl Iterator<Item = &'s SocketRow> {
        self.tables.sockets(host).iter().filter(move |s| s.local.port() == port || s.remote.port() == port)
    }

    /// The conversations with that port, in the order in which they began.
    pub fn talks(&self, port: u16) -> impl Iterator<Item = &Conversation> {
        self.conversations.iter().filter(move |c| c.server.port() == port)
    }

    /// The living and the zombie processes of a program.
    pub fn processes<'s>(&'s self, program: &'s Program) -> impl Iterator<Item = &'s ProcessRow> {
        self.tables.processes(&program.host).iter().filter(|p| program.has(p.pid))
    }

    /// What a program uses now.
    pub fn used(&self, program: &Program) -> Used {
        let parent = self.processes(program).find(|p| program.parent == Some(p.pid));
        Used {
            ticks: self.processes(program).map(|p| p.ticks).sum(),
            descriptors: parent.map_or(0, |p| p.descriptors),
        }
    }

    /// Remembers what each program uses at this look.
    pub fn note_use(&mut self, look: &str) {
        let used: Vec<_> = self
            .programs
            .iter()
            .map(|(name, program)| ((look.to_owned(), name.clone()), self.used(program)))
            .collect();
        self.used_at.extend(used);
    }

    /// Whether the process is a child of some program's listening process, and no orphan.
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
    use crate::observer::render;

    fn process(pid: i32, parent: i32, sid: i32) -> ProcessRow {
        ProcessRow { sid, ..render::tests::process(pid, parent, "sleep") }
    }

    #[test]
    fn a_process_whose_parent_was_never_seen_belongs_to_the_leader_of_its_session() {
        let mut program = Program::new("server", "sh", Some(10));
        let processes = [process(12, 1, 10), process(13, 12, 13), process(14, 1, 14)];
        program.grow(&processes, &[], &IndexMap::new());
        assert!(program.has(12) && program.has(13) && !program.has(14));
    }
}
