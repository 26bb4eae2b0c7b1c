//! Whether facts hold at a moment, and what is seen instead if they do not.

mod conversations;
mod outcome;
mod processes;
mod signaled;
mod sockets;
mod usage;

use std::{net::SocketAddr, slice};

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

/// The first process of a program.
fn first_process(name: &str, snapshot: &Snapshot) -> Option<Subject> {
    let program = snapshot.programs.get(name)?;
    Some(Subject::Process(program.host.clone(), program.pid?))
}

/// The process of a program that listens.
fn parent(name: &str, snapshot: &Snapshot) -> Option<Subject> {
    let program = snapshot.programs.get(name)?;
    Some(Subject::Process(program.host.clone(), program.parent?))
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
