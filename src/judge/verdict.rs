//! The results of an exercise, in the form that people and graders rely on.

use std::{fmt, path::Path};

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use super::{
    by_hand,
    facts::{Finding, Subject},
    snapshot::Snapshot,
};
use crate::{
    exercise::model::Check,
    printable::shortened,
    timeline::{Event, Timeline},
};

/// Maximum number of rows shown for a verdict.
const MOST_ROWS: usize = 200;
/// Maximum length of a row, in characters.
const LONGEST_ROW: usize = 1000;
/// Maximum length of the text on what was observed, in characters.
const LONGEST_WORDS: usize = 4000;

/// The verdict of a check, or of a whole exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// What was expected was observed.
    Pass,
    /// Something else was observed.
    Fail,
    /// The lab could not decide. This never stands for a wrong answer.
    Error,
}

impl Verdict {
    /// The verdict of an exercise with these checks: an error if any could not be decided, otherwise a failure if any
    /// failed.
    pub fn of_all(verdicts: impl Iterator<Item = Self>) -> Self {
        verdicts.max().unwrap_or(Self::Error)
    }

    /// The process exit code for it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Error => 3,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
        })
    }
}

/// The result of one check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check's stable id.
    pub id: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// What was expected, in words.
    pub expected: String,
    /// What was observed, in words.
    pub observed: String,
    /// The rows, packets or lines that show it.
    pub evidence: Vec<String>,
    /// The moment of the run that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moment: Option<Moment>,
    /// Hints in stages.
    pub hints: Vec<String>,
    /// Commands that show the same by hand in the run's lab, in order.
    #[serde(default)]
    pub by_hand: Vec<String>,
}

/// A moment of a run, and what a verdict is about there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The name of the look; none for the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
    /// The number of the packet in the capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet: Option<u64>,
    /// A process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
}

/// A process by its host and its PID there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The host's name.
    pub host: String,
    /// Its process id.
    pub pid: i32,
}

/// What a check is evaluated on.
#[derive(Clone, Copy)]
pub(super) struct Asked<'r> {
    /// The run at the moment.
    pub snapshot: &'r Snapshot,
    /// The events up to the moment.
    pub events: &'r [Event],
    /// The run's lab.
    pub lab: &'r str,
    /// The run's capture.
    pub capture: &'r Path,
}

impl CheckResult {
    /// Evaluates a check at its moment. If there is no such moment, the error of `moment` says why.
    pub(super) fn of(check: &Check, moment: Result<Asked<'_>, &str>) -> Self {
        let Asked { snapshot, events, lab, capture } = match moment {
            Err(why) => return Self::unknown(check, why),
            Ok(asked) => asked,
        };
        let mut findings = check.show.findings(snapshot);
        let holds = findings.iter().all(|f| f.holds);
        findings.retain(|f| f.holds == holds);
        Self {
            verdict: if holds { Verdict::Pass } else { Verdict::Fail },
            observed: words(&findings),
            evidence: rows(&findings),
            by_hand: by_hand::lines(&check.show, snapshot, events, lab, capture),
            ..Self::unknown(check, "")
        }
    }

    /// Adds the moment: the check's look, and what shows there that it failed.
    pub(super) fn at(self, check: &Check, snapshot: &Snapshot, timeline: &Timeline) -> Self {
        let subject = if self.verdict == Verdict::Fail { check.show.subject(snapshot) } else { None };
        let (packet, process) = match subject {
            Some(Subject::Segment(client, at)) => (timeline.packet_of(client, at), None),
            Some(Subject::Process(host, pid)) => (None, Some(ProcessId { host, pid })),
            None => (None, None),
        };
        Self { moment: Some(Moment { look: check.at.clone(), packet, process }), ..self }
    }

    /// Turns a failure in a disturbed run into an error, because the disturbance may have caused it. A pass remains a
    /// pass.
    pub(super) fn doubted(self, disturbed: Option<&str>) -> Self {
        match disturbed {
            Some(why) if self.verdict == Verdict::Fail => {
                Self { verdict: Verdict::Error, observed: format!("{why}; {}", self.observed), ..self }
            }
            _ => self,
        }
    }

    /// The result of a check that could not be evaluated, with the reason.
    pub fn unknown<T: ToString>(check: &Check<T>, why: &str) -> Self {
        Self {
            id: check.id.clone(),
            verdict: Verdict::Error,
            expected: check.expect.to_string(),
            observed: why.to_owned(),
            evidence: Vec::new(),
            moment: None,
            hints: check.hints.iter().map(T::to_string).collect(),
            by_hand: Vec::new(),
        }
    }
}

fn words(findings: &[Finding]) -> String {
    let observed: Vec<_> = findings.iter().map(|f| f.observed.as_str()).collect();
    shortened(&observed.join("; "), LONGEST_WORDS).into_owned()
}

/// Returns each row once, up to a limit: a program may have caused a hundred thousand of them.
fn rows(findings: &[Finding]) -> Vec<String> {
    let all: IndexSet<&str> = findings.iter().flat_map(|f| &f.evidence).map(String::as_str).collect();
    let mut rows: Vec<String> =
        all.iter().take(MOST_ROWS).map(|row| shortened(row, LONGEST_ROW).into_owned()).collect();
    if all.len() > MOST_ROWS {
        rows.push(format!("… and {} more", all.len() - MOST_ROWS));
    }
    rows
}
