//! Decides whether facts hold at a moment, and says what is seen instead if they do not.

mod conversations;
mod outcome;
mod processes;
mod signaled;
mod sockets;
mod usage;

use std::{net::SocketAddr, slice};

use super::snapshot::Snapshot;
use crate::{
    exercise::facts::{Cpu, Descriptors, Fact, Facts, Signaled},
    kernel::SocketRow,
    observer::{ProcessRow, render},
    time::Nanos,
};

/// The answer to one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it holds.
    pub holds: bool,
    /// What is seen, in a few words.
    pub observed: String,
    /// The rows, packets or lines that show it.
    pub evidence: Vec<String>,
}

/// One thing in a run that a verdict can point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The TCP segment of that client's connection that passed at that time, from either side.
    Segment(SocketAddr, Nanos),
    /// The process with that PID on that host.
    Process(String, i32),
}

impl Facts {
    /// Whether all of them hold.
    pub fn hold(&self, snapshot: &Snapshot) -> bool {
        self.each().all(|fact| fact.find(snapshot).holds)
    }

    /// Whether waiting for them is pointless, e.g. for the output of a program that has ended.
    pub fn are_lost(&self, snapshot: &Snapshot) -> bool {
        self.each().any(|fact| fact.will_never_hold(snapshot))
    }

    /// Whether no event reports when one of them begins to hold, so that one must poll.
    pub fn must_be_polled(&self) -> bool {
        self.each().any(|fact| fact.must_be_polled())
    }

    /// Returns every fact's finding, in the order of their kinds.
    pub fn findings(&self, snapshot: &Snapshot) -> Vec<Finding> {
        self.each().map(|fact| fact.find(snapshot)).collect()
    }

    /// Returns something that shows that one of them does not hold.
    pub fn subject(&self, snapshot: &Snapshot) -> Option<Subject> {
        let mut failed = self.each().filter(|fact| !fact.find(snapshot).holds);
        failed.find_map(|fact| fact.subject(snapshot))
    }
}

impl Fact<'_> {
    fn find(&self, snapshot: &Snapshot) -> Finding {
        match *self {
            Self::Listens(program) => sockets::Listens(program).find(snapshot),
            Self::Sockets(fact) => fact.find(snapshot),
            Self::Processes(fact) => fact.find(snapshot),
            Self::Conversations(fact) => fact.find(snapshot),
            Self::Cpu(fact) => fact.find(snapshot),
            Self::Descriptors(fact) => fact.find(snapshot),
            Self::Program(fact) => fact.find(snapshot),
            Self::Signaled(fact) => fact.find(snapshot),
            Self::Outputs(fact) => fact.find(snapshot),
        }
    }

    /// Returns the one thing in the run that shows that it does not hold, if there is one.
    fn subject(&self, snapshot: &Snapshot) -> Option<Subject> {
        match *self {
            Self::Listens(program) => first_process(program, snapshot),
            Self::Sockets(fact) => fact.subject(snapshot),
            Self::Processes(fact) => fact.subject(snapshot),
            Self::Conversations(fact) => fact.subject(snapshot),
            Self::Cpu(Cpu { of, .. })
            | Self::Descriptors(Descriptors { of, .. })
            | Self::Signaled(Signaled { of, .. }) => parent(of, snapshot),
            Self::Program(fact) => first_process(&fact.name, snapshot),
            Self::Outputs(fact) => fact.of.iter().find_map(|name| first_process(name, snapshot)),
        }
    }

    /// Whether it does not hold and never will.
    fn will_never_hold(&self, snapshot: &Snapshot) -> bool {
        match *self {
            Self::Listens(program) => sockets::Listens(program).is_lost(snapshot),
            Self::Program(fact) => fact.is_lost(snapshot),
            _ => false,
        }
    }

    /// No event reports that processor time was used, or that a descriptor was opened.
    fn must_be_polled(&self) -> bool {
        matches!(*self, Self::Cpu(_) | Self::Descriptors(_))
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
