//! A program that an exercise started, with all its processes.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::submitted::{Borrowed, not_their_own};
use crate::{
    capture::TcpState,
    kernel::{ExitStatus, SocketRow},
    observer::ProcessRow,
};

/// A program that the exercise started.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The host it runs on.
    pub host: String,
    /// The command as it was typed.
    pub command: String,
    /// Whether it is the user's own, in place of the exercise's.
    pub is_own: bool,
    /// The PID of its first process on the host; unknown if it ended too early to be looked up.
    pub pid: Option<i32>,
    /// What it printed on standard output and standard error, as it came.
    pub printed: String,
    /// How it ended, if it has.
    pub ended: Option<ExitStatus>,
    /// Whether it can print nothing more: its output is closed.
    pub silent: bool,
    /// The process that listens on a port of the exercise, once there has been one.
    pub parent: Option<i32>,
    /// Which of its work was done by programs that are not the student's.
    pub borrowed: Borrowed,
    /// The signals that were sent to its processes.
    pub signaled: Vec<i32>,
    /// Whether its host has lost its power since it was started.
    pub lost_power: bool,
    /// Every process of it that was ever seen, by PID, with the one it was first seen under: its parent, or its
    /// session leader if the parent had ended before the process was seen.
    pub(super) family: BTreeMap<i32, i32>,
}

impl Program {
    /// A program that has just been started.
    pub fn new(host: &str, command: &str, pid: Option<i32>) -> Self {
        let family = pid.map(|pid| (pid, 0)).into_iter().collect();
        Self { host: host.into(), command: command.into(), pid, family, ..Self::default() }
    }

    /// Whether the process belongs, or once belonged, to this program.
    pub fn has(&self, pid: i32) -> bool {
        self.family.contains_key(&pid)
    }

    /// The process it was first seen under, if that one also belongs to this program.
    pub fn elder(&self, pid: i32) -> Option<i32> {
        self.family.get(&pid).copied().filter(|elder| self.has(*elder))
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

    /// Whether the process descends from the one that listens, and its parent still belongs to this program.
    pub fn is_child_now(&self, process: &ProcessRow) -> bool {
        self.is_child(process.pid) && self.has(process.ppid)
    }

    /// Updates the family and the listening process from the host's tables.
    pub(super) fn grow(
        &mut self,
        processes: &[ProcessRow],
        sockets: &[SocketRow],
        ports: &IndexMap<String, u16>,
    ) {
        self.grow_family(processes);
        let reference_program =
            processes.iter().find(|process| process.is_reference_program && self.has(process.pid));
        if let Some(reference_program) = reference_program {
            self.borrowed.reference_program = Some(reference_program.copy_of.clone());
        }
        if self.parent.is_none() {
            let of_ours = |port| ports.values().any(|p| *p == port);
            let listening = sockets.iter().filter(|s| s.state == TcpState::Listen && of_ours(s.local.port()));
            self.parent = listening.flat_map(|s| &s.owners).copied().filter(|pid| self.has(*pid)).min();
        }
        // It may have been seen before it executed the program that listens: what is seen last counts.
        let listener = processes.iter().find(|p| Some(p.pid) == self.parent && !p.program.is_empty());
        if let Some(listener) = listener {
            self.borrowed.listener = not_their_own(listener);
        }
    }

    pub(super) fn grow_family(&mut self, processes: &[ProcessRow]) {
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
    }

    /// Finds out whether a connection on one of the ports is held only by programs that are not the student's. A
    /// client served by a child that executes another program was not served by the student's.
    pub(super) fn find_servant(
        &mut self,
        processes: &[ProcessRow],
        sockets: &[SocketRow],
        ports: &IndexMap<String, u16>,
    ) {
        let of_ours = |port| ports.values().any(|p| *p == port);
        let served = sockets.iter().filter(|s| {
            s.state == TcpState::Established && (of_ours(s.local.port()) || of_ours(s.remote.port()))
        });
        for socket in served {
            let holders = socket.owners.iter().filter(|pid| self.has(**pid));
            let runs = |pid: &i32| processes.iter().find(|p| p.pid == *pid).and_then(not_their_own);
            let others: Option<Vec<String>> = holders.map(runs).collect();
            if let Some(servant) = others.and_then(|others| others.into_iter().next()) {
                self.borrowed.servant = Some(servant);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::observer::render;

    pub fn process(pid: i32, parent: i32, sid: i32) -> ProcessRow {
        ProcessRow { sid, ..render::tests::process(pid, parent, "sleep") }
    }

    #[test]
    fn a_process_whose_parent_was_never_seen_belongs_to_the_leader_of_its_session() {
        let mut program = Program::new("server", "sh", Some(10));
        let processes = [process(12, 1, 10), process(13, 12, 13), process(14, 1, 14)];
        program.grow(&processes, &[], &IndexMap::new());
        assert!(program.has(12) && program.has(13) && !program.has(14));
    }

    pub fn socket(state: TcpState, owners: &[i32]) -> SocketRow {
        SocketRow {
            local: "198.18.0.2:8002".parse().unwrap(),
            remote: "198.18.0.3:40000".parse().unwrap(),
            v6: false,
            state,
            recv_q: 0,
            send_q: 0,
            inode: 1,
            uid: 0,
            owners: owners.to_vec(),
        }
    }

    #[test]
    fn who_holds_a_connection_alone_has_served_it() {
        let ports: IndexMap<String, u16> = [("port".into(), 8002)].into();
        let mut processes = [process(10, 1, 10), process(11, 10, 10), process(12, 11, 10)];
        processes[0].program = "/lab/server".into();
        processes[1].program = "/lab/server".into();
        processes[2].program = "/usr/bin/cat".into();
        for (owners, servant) in [(&[11][..], None), (&[11, 12], None), (&[12], Some("/usr/bin/cat"))] {
            let mut program = Program::new("server", "/lab/server", Some(10));
            program.grow_family(&processes);
            program.find_servant(&processes, &[socket(TcpState::Established, owners)], &ports);
            assert_eq!(program.borrowed.servant.as_deref(), servant, "{owners:?}");
        }
    }
}
