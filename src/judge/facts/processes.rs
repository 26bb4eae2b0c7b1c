//! Facts about the processes of a program.

use super::{Finding, Subject, outcome::has_ended_so, process_line};
use crate::{
    exercise::facts::{Ended, Processes, Who},
    judge::{program::Program, snapshot::Snapshot},
    observer::ProcessRow,
    signals,
};

impl Processes {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        let Some(program) = snapshot.programs.get(&self.of) else {
            return Finding {
                holds: false,
                observed: format!("{} was never started", self.of),
                evidence: Vec::new(),
            };
        };
        let n = snapshot.processes(program).filter(|p| self.matches(program, p)).count() as u64;
        Finding {
            holds: self.count.admits(n),
            observed: format!("{}: {n} {} (expected {})", program.host, self.words(n == 1), self.count),
            evidence: snapshot.processes(program).map(process_line).collect(),
        }
    }

    /// The first such process, if there should be fewer; otherwise the one that should have more children.
    pub(super) fn subject(&self, snapshot: &Snapshot) -> Option<Subject> {
        let program = snapshot.programs.get(&self.of)?;
        let such = snapshot.processes(program).find(|p| self.matches(program, p)).map(|process| process.pid);
        let pid = such.or(program.parent).or(program.pid)?;
        Some(Subject::Process(program.host.clone(), pid))
    }
}

impl Processes {
    fn matches(&self, program: &Program, process: &ProcessRow) -> bool {
        let who = match self.who {
            None => true,
            Some(Who::Parent) => program.parent == Some(process.pid),
            Some(Who::Child) => program.is_child_now(process),
            Some(Who::Orphan) => program.is_child(process.pid) && !program.has(process.ppid),
        };
        let state = match &self.state {
            Some(letters) => letters.contains(process.state),
            None => !process.is_zombie(),
        };
        let catches = |name: &String| holds(process.caught, name);
        let ignores = |name: &String| holds(process.ignored, name);
        let died = self
            .died
            .as_ref()
            .is_none_or(|wanted| process.ended.is_some_and(|status| has_ended_so(status, wanted)));
        who && state && died && self.catch.iter().all(catches) && self.ignore.iter().all(ignores)
    }

    /// Describes the processes, e.g. `children in state S`.
    fn words(&self, one: bool) -> String {
        let mut words = match (self.who, one) {
            (None, true) => "process",
            (None, false) => "processes",
            (Some(Who::Parent), true) => "parent",
            (Some(Who::Parent), false) => "parents",
            (Some(Who::Child), true) => "child",
            (Some(Who::Child), false) => "children",
            (Some(Who::Orphan), true) => "orphan",
            (Some(Who::Orphan), false) => "orphans",
        }
        .to_owned();
        match self.state.as_deref() {
            Some("Z") if one => words += " that is a zombie",
            Some("Z") => words += " that are zombies",
            Some(letters) => words += &format!(" in state {}", any_of(letters)),
            None => {}
        }
        match &self.died {
            Some(Ended::Code(code)) => words += &format!(" that exited with {code}"),
            Some(Ended::Word(word)) => words += &format!(" that ended by {word}"),
            None => {}
        }
        if !self.catch.is_empty() {
            words += &format!(" with a handler for {}", self.catch.join(", "));
        }
        if !self.ignore.is_empty() {
            words += &format!(" with {} ignored", self.ignore.join(", "));
        }
        words
    }
}

/// Whether a set of signals, as `/proc/PID/status` shows it, contains the one with that name.
fn holds(signals: u64, name: &str) -> bool {
    signals::parse(name).is_ok_and(|n| signals >> (n - 1) & 1 == 1)
}

/// `S`, or `Z, S or T`.
fn any_of(letters: &str) -> String {
    let mut letters: Vec<String> = letters.chars().map(String::from).collect();
    let last = letters.pop().unwrap_or_default();
    if letters.is_empty() { last } else { format!("{} or {last}", letters.join(", ")) }
}
