//! Whether facts hold at a moment, and what is seen instead if they do not.

mod conversations;
mod outcome;
mod processes;
mod signaled;
mod sockets;
mod usage;

use std::{collections::HashSet, net::SocketAddr, path::Path, slice};

use super::snapshot::Snapshot;
use crate::{
    exercise::model::Facts,
    kernel::SocketRow,
    observer::{ProcessRow, render},
    time::Nanos,
};

/// What came of asking one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it holds.
    pub holds: bool,
    /// What is seen, in a few words.
    pub observed: String,
    /// The rows, packets or lines that show it.
    pub evidence: Vec<String>,
}

/// One thing in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The segment of that client's connection that passed then, whoever sent it.
    Segment(SocketAddr, Nanos),
    /// The process of that number on that host.
    Process(String, i32),
}

/// Something one can ask a moment.
trait Fact {
    fn find(&self, snapshot: &Snapshot) -> Finding;

    /// What of the run shows that it does not hold, if it is one thing.
    fn subject(&self, _snapshot: &Snapshot) -> Option<Subject> {
        None
    }

    /// Whether it does not hold and never will.
    fn is_lost(&self, _snapshot: &Snapshot) -> bool {
        false
    }
}

impl Facts {
    /// Whether all of them hold.
    pub fn hold(&self, snapshot: &Snapshot) -> bool {
        self.each().all(|fact| fact.find(snapshot).holds)
    }

    /// Whether to wait for them is in vain, as for the words of a program that has ended.
    pub fn are_lost(&self, snapshot: &Snapshot) -> bool {
        self.each().any(|fact| fact.is_lost(snapshot))
    }

    /// Every fact's finding, in the file's order of kinds.
    pub fn findings(&self, snapshot: &Snapshot) -> Vec<Finding> {
        self.each().map(|fact| fact.find(snapshot)).collect()
    }

    /// What shows that some of them do not hold.
    pub fn subject(&self, snapshot: &Snapshot) -> Option<Subject> {
        let mut failed = self.each().filter(|fact| !fact.find(snapshot).holds);
        failed.find_map(|fact| fact.subject(snapshot))
    }

    /// What a person types to see the same; `capture` is the run's.
    pub fn by_hand(&self, snapshot: &Snapshot, capture: &Path) -> Vec<String> {
        let on = |program: &str| snapshot.programs.get(program).map(|p| p.host.as_str());
        let mut commands = Vec::new();
        for socket in &self.sockets {
            commands.push(format!("netlab exec {} -- netstat -putan", snapshot.host(&socket.on)));
        }
        let of = self.processes.iter().map(|p| &p.of).chain(self.cpu.iter().map(|c| &c.of));
        for host in of.filter_map(|name| on(name)) {
            commands.push(format!("netlab exec {host} -- ps -eo pid,ppid,stat,time,args"));
        }
        let listens = self.listens.as_deref().and_then(on);
        commands.extend(listens.map(|host| format!("netlab exec {host} -- netstat -tlnp")));
        if !self.conversations.is_empty() {
            commands.push(format!("netlab capture show {}", capture.display()));
        }
        let printers = self.program.iter().map(|p| &p.name).chain(self.outputs.iter().flat_map(|o| &o.of));
        for program in printers.filter_map(|name| snapshot.programs.get(name)) {
            commands.push(format!("netlab exec {} -- {}", program.host, program.command));
        }
        for host in self.descriptors.iter().filter_map(|d| on(&d.of)) {
            commands.push(format!("netlab exec {host} -- ls -l /proc/PID/fd"));
        }
        let mut seen = HashSet::new();
        commands.retain(|command| seen.insert(command.clone()));
        commands
    }

    fn each(&self) -> impl Iterator<Item = Box<dyn Fact + '_>> {
        let listens = self.listens.iter().map(|p| Box::new(sockets::Listens(p)) as Box<dyn Fact>);
        listens
            .chain(self.sockets.iter().map(|f| Box::new(f) as Box<dyn Fact>))
            .chain(self.processes.iter().map(|f| Box::new(f) as Box<dyn Fact>))
            .chain(self.conversations.iter().map(|f| Box::new(f) as Box<dyn Fact>))
            .chain(self.cpu.iter().map(|f| Box::new(f) as Box<dyn Fact>))
            .chain(self.descriptors.iter().map(|f| Box::new(f) as Box<dyn Fact>))
            .chain(self.program.iter().map(|f| Box::new(f) as Box<dyn Fact>))
            .chain(self.signaled.iter().map(|f| Box::new(f) as Box<dyn Fact>))
            .chain(self.outputs.iter().map(|f| Box::new(f) as Box<dyn Fact>))
    }
}

impl<F: Fact> Fact for &F {
    fn find(&self, snapshot: &Snapshot) -> Finding {
        (*self).find(snapshot)
    }

    fn subject(&self, snapshot: &Snapshot) -> Option<Subject> {
        (*self).subject(snapshot)
    }

    fn is_lost(&self, snapshot: &Snapshot) -> bool {
        (*self).is_lost(snapshot)
    }
}

/// A socket as netstat shows it.
fn socket_line(socket: &SocketRow, processes: &[ProcessRow]) -> String {
    last_line(&render::netstat_putan(slice::from_ref(socket), processes))
}

/// A process as ps shows it.
fn process_line(process: &ProcessRow) -> String {
    last_line(&render::ps(slice::from_ref(process)))
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}
