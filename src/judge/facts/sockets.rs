//! Facts about the socket table of a host.

use std::collections::BTreeSet;

use super::{Finding, Subject, socket_line};
use crate::{
    capture::TcpState,
    exercise::facts::{Owner, Sockets},
    judge::{program::Program, snapshot::Snapshot},
    kernel::{ExitStatus, SocketRow},
};

/// A program listens on the exercise's port.
pub(super) struct Listens<'f>(pub &'f str);

impl Listens<'_> {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        let Some(program) = snapshot.programs.get(self.0) else {
            return Finding {
                holds: false,
                observed: format!("{} was never started", self.0),
                evidence: Vec::new(),
            };
        };
        let of_ours = |s: &&SocketRow| {
            s.state == TcpState::Listen
                && snapshot.ports.values().any(|port| *port == s.local.port())
                && s.owners.iter().any(|pid| program.has(*pid))
        };
        let listening = snapshot.tables.sockets(&program.host).iter().find(of_ours);
        let observed = match (listening, program.ended) {
            (Some(socket), _) => format!("`{}` listens on port {}", program.command, socket.local.port()),
            (None, Some(ExitStatus::Exited(0))) => format!(
                "`{}` does not listen: exit 0. It ended at once or went to the background: it must stay in the \
                 foreground",
                program.command
            ),
            (None, Some(status)) => format!("`{}` does not listen: {status}", program.command),
            (None, None) => format!("`{}` runs, and does not listen on its port", program.command),
        };
        let evidence = match listening {
            Some(socket) => vec![socket_line(socket, snapshot.tables.processes(&program.host))],
            None => program.printed.lines().map(str::to_owned).collect(),
        };
        Finding { holds: listening.is_some(), observed, evidence }
    }

    pub(super) fn is_lost(&self, snapshot: &Snapshot) -> bool {
        let is_over = |p: &Program| p.ended.is_some() && p.silent && snapshot.processes(p).next().is_none();
        snapshot.programs.get(self.0).is_some_and(is_over)
    }
}

impl Sockets {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        let host = snapshot.host(&self.on);
        let port = snapshot.port(self.port.as_deref());
        let matching = self.matching(host, snapshot);
        let processes = snapshot.tables.processes(host);
        let evidence: Vec<String> = snapshot.sockets(host, port).map(|s| socket_line(s, processes)).collect();
        let n = matching.len() as u64;
        Finding {
            holds: self.count.admits(n),
            observed: format!("{host}: {n} {} (expected {})", self.words(), self.count),
            evidence,
        }
    }

    pub(super) fn subject(&self, snapshot: &Snapshot) -> Option<Subject> {
        let host = snapshot.host(&self.on);
        let all = snapshot.sockets(host, snapshot.port(self.port.as_deref()));
        let mut owners =
            self.matching(host, snapshot).into_iter().chain(all).flat_map(|socket| &socket.owners);
        owners.next().map(|pid| Subject::Process(host.to_owned(), *pid))
    }
}

impl Sockets {
    /// The sockets that are as the fact asks.
    fn matching<'s>(&self, host: &'s str, snapshot: &'s Snapshot) -> Vec<&'s SocketRow> {
        let port = snapshot.port(self.port.as_deref());
        let is_ephemeral = |s: &SocketRow| snapshot.ports.values().all(|port| *port != s.local.port());
        let mut holders = BTreeSet::new();
        snapshot
            .sockets(host, port)
            .filter(|s| self.state.is_none_or(|state| s.state == state))
            .filter(|s| self.ephemeral.is_none_or(|wanted| is_ephemeral(s) == wanted))
            .filter(|s| self.recv_q.is_none_or(|wanted| wanted.admits(u64::from(s.recv_q))))
            .filter(|s| self.owner.is_none_or(|owner| is_owned(s, owner, snapshot, host, &mut holders)))
            .collect()
    }

    /// Describes the sockets, e.g. `ESTABLISHED owned by a child of its own`.
    fn words(&self) -> String {
        let mut words = self.state.map_or("sockets".to_owned(), |state| state.to_string());
        if let Some(owner) = self.owner {
            words += match owner {
                Owner::Nobody => " owned by no process",
                Owner::Parent => " owned by the parent alone",
                Owner::Child => " owned by children alone",
                Owner::OwnChild => " each owned by a child of its own",
            };
        }
        match self.ephemeral {
            Some(true) => words += " with an ephemeral port of its own",
            Some(false) => words += " with a port of the exercise",
            None => {}
        }
        if let Some(recv_q) = self.recv_q {
            words += &format!(" with Recv-Q {recv_q}");
        }
        words
    }
}

fn is_owned(
    socket: &SocketRow,
    owner: Owner,
    snapshot: &Snapshot,
    host: &str,
    holders: &mut BTreeSet<i32>,
) -> bool {
    let children = || !socket.owners.is_empty() && socket.owners.iter().all(|p| snapshot.is_child(host, *p));
    match owner {
        Owner::Nobody => socket.owners.is_empty(),
        Owner::Parent => matches!(socket.owners.as_slice(), [pid] if snapshot.is_parent(host, *pid)),
        Owner::Child => children(),
        Owner::OwnChild => children() && socket.owners.len() == 1 && holders.insert(socket.owners[0]),
    }
}
