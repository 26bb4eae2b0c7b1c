//! What an exercise showed, in the form that people and graders rely on.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use super::{facts::Finding, model::Check, scene::Scene};
use crate::runtime::RuntimeKind;

/// So many rows are shown for a verdict.
const MOST_ROWS: usize = 200;
/// The longest of them, in characters.
const LONGEST_ROW: usize = 1000;
/// The longest that is said of what was observed, in characters.
const LONGEST_WORDS: usize = 4000;

/// Of a check, or of a whole exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// What was expected showed.
    Pass,
    /// Something else showed.
    Fail,
    /// The lab could not tell. Never a wrong answer.
    Error,
}

impl Verdict {
    /// Of an exercise with these checks: an error if the lab could not tell of any, else a failure
    /// if any failed.
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

/// What came of one check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckResult {
    /// Its stable name.
    pub id: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What was expected, in words.
    pub expected: String,
    /// What was observed, in words.
    pub observed: String,
    /// The rows, packets or lines that show it.
    pub evidence: Vec<String>,
    /// Hints in stages.
    pub hints: Vec<String>,
    /// Commands that show the same by hand.
    #[serde(default)]
    pub by_hand: Vec<String>,
}

impl CheckResult {
    /// Asks what the check asks of its moment; `moment` says why it cannot be asked.
    pub fn of(check: &Check, moment: Result<&Scene, &str>, capture: &Path) -> Self {
        let findings = moment.map(|scene| check.show.findings(scene));
        let (verdict, observed, evidence) = match findings {
            Err(why) => return Self::unknown(check, why),
            Ok(findings) if findings.iter().all(|f| f.holds) => {
                (Verdict::Pass, words(&findings), rows(&findings))
            }
            Ok(mut findings) => {
                findings.retain(|f| !f.holds);
                (Verdict::Fail, words(&findings), rows(&findings))
            }
        };
        let by_hand = moment.map(|scene| check.show.by_hand(scene, capture)).unwrap_or_default();
        Self { verdict, observed, evidence, by_hand, ..Self::unknown(check, "") }
    }

    /// Of a check that could not be asked, and why.
    pub fn unknown(check: &Check, why: &str) -> Self {
        Self {
            id: check.id.clone(),
            verdict: Verdict::Error,
            expected: check.expect.clone(),
            observed: why.to_owned(),
            evidence: Vec::new(),
            hints: check.hints.clone(),
            by_hand: Vec::new(),
        }
    }
}

fn words(findings: &[Finding]) -> String {
    shortened(findings.iter().map(|f| f.observed.as_str()).collect::<Vec<_>>().join("; "), LONGEST_WORDS)
}

/// Each row once. A program may have made a hundred thousand of them.
fn rows(findings: &[Finding]) -> Vec<String> {
    let all: IndexSet<&str> = findings.iter().flat_map(|f| &f.evidence).map(String::as_str).collect();
    let mut rows: Vec<String> =
        all.iter().take(MOST_ROWS).map(|row| shortened((*row).to_owned(), LONGEST_ROW)).collect();
    if all.len() > MOST_ROWS {
        rows.push(format!("… and {} more", all.len() - MOST_ROWS));
    }
    rows
}

fn shortened(mut text: String, most: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
        text.push('…');
    }
    text
}

/// What came of an exercise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The exercise's id.
    pub exercise: String,
    /// Its title.
    pub title: String,
    /// What it ran on.
    pub runtime: RuntimeKind,
    /// Of all checks together.
    pub verdict: Verdict,
    /// Each check.
    pub checks: Vec<CheckResult>,
    /// The programs given in place of the exercise's that turned out to be copies of netlab's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub netlabs: Vec<String>,
    /// What listened as one of the programs given, and is nothing from the workspace: by the exercise's name for
    /// it, the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<(String, String)>,
    /// Whose program did the work of one of the programs given, where that is netlab's or the system's: by the
    /// exercise's name for it, as `socat`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borrowed: Vec<(String, String)>,
    /// Whether what could not be told, if anything, was not told by the own fault of the programs given: one of them
    /// ended early, or took more than there is.
    #[serde(skip)]
    pub own_fault: bool,
    /// Where the rest is.
    pub artifacts: Artifacts,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// The files that a run leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Artifacts {
    /// The packets, as pcapng.
    #[serde(serialize_with = "crate::paths::as_text")]
    pub capture: PathBuf,
    /// Everything done and seen, as JSON.
    #[serde(serialize_with = "crate::paths::as_text")]
    pub evidence: PathBuf,
    /// The same for a person.
    #[serde(serialize_with = "crate::paths::as_text")]
    pub report: PathBuf,
}

/// Whole milliseconds.
pub fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
