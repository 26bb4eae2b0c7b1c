//! The latest tables of every host, and queries on them.

use std::collections::BTreeMap;

use super::{ProcessRow, Seen};
use crate::{capture::TcpState, kernel::SocketRow};

/// The latest tables of every host, as reported by an observer.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    hosts: BTreeMap<String, HostTables>,
}

#[derive(Clone, Debug, Default)]
struct HostTables {
    processes: Vec<ProcessRow>,
    sockets: Vec<SocketRow>,
}

impl Tables {
    /// Applies an observation.
    pub fn apply(&mut self, seen: &Seen) {
        match seen {
            Seen::Processes { host, rows, .. } => self.set_processes(host, rows),
            Seen::Sockets { host, rows, .. } => self.set_sockets(host, rows),
            Seen::Packet(_) | Seen::Gone { .. } | Seen::ObservationLost { .. } => {}
        }
    }

    /// Sets a host's processes, which are in order of pid.
    pub fn set_processes(&mut self, host: &str, rows: &[ProcessRow]) {
        rows.clone_into(&mut self.of(host).processes);
    }

    /// Sets a host's sockets, listening ones first.
    pub fn set_sockets(&mut self, host: &str, rows: &[SocketRow]) {
        rows.clone_into(&mut self.of(host).sockets);
    }

    fn of(&mut self, host: &str) -> &mut HostTables {
        self.hosts.entry(host.to_owned()).or_default()
    }

    /// Returns the hosts about which something was reported.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// Returns the host's processes by pid; empty for a host that is gone or was never seen.
    pub fn processes(&self, host: &str) -> &[ProcessRow] {
        self.hosts.get(host).map_or(&[], |h| &h.processes)
    }

    /// Returns the host's sockets, listening ones first.
    pub fn sockets(&self, host: &str) -> &[SocketRow] {
        self.hosts.get(host).map_or(&[], |h| &h.sockets)
    }

    /// Returns the host's process with this pid.
    pub fn process(&self, host: &str, pid: i32) -> Option<&ProcessRow> {
        self.processes(host).iter().find(|p| p.pid == pid)
    }

    /// Returns the children of a process, including zombies, by pid.
    pub fn children(&self, host: &str, pid: i32) -> impl Iterator<Item = &ProcessRow> {
        self.processes(host).iter().filter(move |p| p.ppid == pid)
    }

    /// Returns every listening socket of the host that a process holds, with that process.
    pub fn listeners(&self, host: &str) -> impl Iterator<Item = (&SocketRow, &ProcessRow)> {
        let listening = self.sockets(host).iter().filter(|s| s.state == TcpState::Listen);
        listening.filter_map(|s| self.holder(host, s).map(|p| (s, p)))
    }

    /// Returns the socket that listens on a port, and the process that holds it.
    pub fn listener(&self, host: &str, port: u16) -> Option<(&SocketRow, Option<&ProcessRow>)> {
        let socket =
            self.sockets(host).iter().find(|s| s.state == TcpState::Listen && s.local.port() == port)?;
        Some((socket, self.holder(host, socket)))
    }

    /// Returns the process that a socket belongs to. A descriptor survives fork, so children may hold it as
    /// well: it is the owner whose parent is not an owner.
    pub fn holder(&self, host: &str, socket: &SocketRow) -> Option<&ProcessRow> {
        let owners = || socket.owners.iter().filter_map(|pid| self.process(host, *pid));
        owners().find(|p| !socket.owners.contains(&p.ppid)).or_else(|| owners().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::render::tests::{process, socket};

    fn tables() -> Tables {
        let mut tables = Tables::default();
        let host = || "server".to_owned();
        let processes = vec![process(1, 0, "lab-init"), process(7, 9, "tcpechod"), process(9, 1, "tcpechod")];
        let listening =
            SocketRow { owners: vec![7, 9], ..socket("0.0.0.0:8001", "0.0.0.0:0", TcpState::Listen) };
        let queued = socket("10.0.0.1:8001", "10.0.0.2:50000", TcpState::Established);
        tables.apply(&Seen::Processes { at: 1, host: host(), rows: processes });
        tables.apply(&Seen::Sockets { at: 2, host: host(), rows: vec![listening, queued] });
        tables
    }

    #[test]
    fn a_socket_belongs_to_the_parent_of_those_who_hold_it() {
        let tables = tables();
        let (socket, process) = tables.listener("server", 8001).unwrap();
        assert_eq!((socket.local.port(), process.unwrap().pid), (8001, 9));
        assert_eq!(tables.listeners("server").map(|(_, p)| p.pid).collect::<Vec<_>>(), [9]);
        assert!(tables.listener("server", 50000).is_none(), "a connection does not listen");
    }

    #[test]
    fn families_and_strangers() {
        let tables = tables();
        assert_eq!(tables.children("server", 9).map(|p| p.pid).collect::<Vec<_>>(), [7]);
        assert!(tables.process("server", 8).is_none());
        assert!(tables.processes("nobody").is_empty() && tables.sockets("nobody").is_empty());
    }

    #[test]
    fn a_new_table_replaces_the_old() {
        let mut tables = tables();
        tables.apply(&Seen::Processes { at: 3, host: "server".into(), rows: Vec::new() });
        assert!(tables.processes("server").is_empty());
        let (_, holder) = tables.listener("server", 8001).unwrap();
        assert!(holder.is_none());
    }
}
