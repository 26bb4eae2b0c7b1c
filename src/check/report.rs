//! The results of judging, for people and for graders.

use std::path::PathBuf;

use serde::Serialize;

use super::Build;
use crate::{
    Error, Kind,
    exercise::model::{Check, Exercise},
    judge::{Artifacts, CheckResult, Outcome, Verdict},
};

/// The results of all sections.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The verdict on all checks together.
    pub verdict: Verdict,
    /// How compiling went, if there was something to compile.
    pub build: Option<Build>,
    /// Each section, in the requested order, without those that judge none of the programs.
    pub sections: Vec<Section>,
    /// The page that joins the sections, if there are several.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::paths::as_text_if_any")]
    pub page: Option<PathBuf>,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// The results of one section.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// The exercise's id.
    pub exercise: String,
    /// Its title.
    pub title: String,
    /// The verdict on its checks together.
    pub verdict: Verdict,
    /// The checks that judge the programs.
    pub checks: Vec<CheckResult>,
    /// The programs that turned out to be copies of netlab's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "netlabs")]
    pub reference_programs: Vec<String>,
    /// The programs that listened but are not in the workspace, by the exercise's names for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "foreign")]
    pub outside_workspace: Vec<(String, String)>,
    /// The programs whose work netlab's or the system's programs did, by the exercise's names, and what those were,
    /// e.g. `socat`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borrowed: Vec<(String, String)>,
    /// Whether every check that could not be decided is the programs' own fault: they ended early, or exceeded what
    /// can be observed.
    #[serde(skip)]
    pub own_fault: bool,
    /// The files that each run left; empty if no run completed.
    pub runs: Vec<Artifacts>,
    /// For each check, the index of its run in `runs`.
    #[serde(skip)]
    of_run: Vec<Option<usize>>,
    /// How long the runs took.
    pub elapsed_ms: u64,
}

impl Default for Report {
    /// An empty report. Its verdict is an error, since nothing has been judged.
    fn default() -> Self {
        Self { verdict: Verdict::Error, build: None, sections: Vec::new(), page: None, elapsed_ms: 0 }
    }
}

impl Report {
    /// Returns how many checks pass, and how many there are.
    pub fn passed(&self) -> (usize, usize) {
        let passed = self.sections.iter().map(Section::passed).sum();
        (passed, self.sections.iter().map(|section| section.checks.len()).sum())
    }

    /// Adds a section, if it judged anything.
    pub(super) fn add(&mut self, section: Section) {
        if !section.checks.is_empty() {
            self.sections.push(section);
            self.verdict = Verdict::of_all(self.sections.iter().map(|s| s.verdict));
        }
    }
}

impl Section {
    /// A section of which nothing has been judged yet.
    pub(crate) fn new<T: ToString, S>(exercise: &Exercise<T, S>) -> Self {
        Self {
            exercise: exercise.id.clone(),
            title: exercise.title.to_string(),
            verdict: Verdict::Error,
            checks: Vec::new(),
            reference_programs: Vec::new(),
            outside_workspace: Vec::new(),
            borrowed: Vec::new(),
            own_fault: true,
            runs: Vec::new(),
            of_run: Vec::new(),
            elapsed_ms: 0,
        }
    }

    /// Adds the outcome of a run.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.own_fault &= outcome.own_fault;
        self.of_run.extend(vec![Some(self.runs.len()); outcome.checks.len()]);
        self.runs.push(outcome.artifacts);
        self.elapsed_ms += outcome.elapsed_ms;
        self.reference_programs.extend(outcome.reference_programs);
        self.outside_workspace.extend(outcome.outside_workspace);
        self.borrowed.extend(outcome.borrowed);
        self.extend(outcome.checks);
    }

    /// Records that a run could determine nothing about this program.
    pub(super) fn broke(&mut self, program: &str, exercise: &Exercise, error: &Error) {
        let why = error.with_causes();
        self.own_fault &= error.kind == Kind::Excess;
        let about = exercise.checks.iter().filter(|check| check.about.as_deref() == Some(program));
        let checks: Vec<_> = about.map(|check: &Check| CheckResult::unknown(check, &why)).collect();
        self.of_run.extend(vec![None; checks.len()]);
        self.extend(checks);
    }

    /// How many of its checks pass.
    pub fn passed(&self) -> usize {
        self.checks.iter().filter(|check| check.verdict == Verdict::Pass).count()
    }

    /// The files left by the run of the check with this index.
    pub(super) fn run_of(&self, check: usize) -> Option<&Artifacts> {
        self.runs.get((*self.of_run.get(check)?)?)
    }

    fn extend(&mut self, checks: Vec<CheckResult>) {
        self.checks.extend(checks);
        self.verdict = Verdict::of_all(self.checks.iter().map(|c| c.verdict));
    }
}
