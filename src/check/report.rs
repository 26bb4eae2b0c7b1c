//! What came of judging, for people and for graders.

use std::path::PathBuf;

use serde::Serialize;

use super::Build;
use crate::{
    Error, Kind,
    exercise::model::{Check, Exercise},
    judge::{Artifacts, CheckResult, Outcome, Verdict},
};

/// Of all sections.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of all checks together.
    pub verdict: Verdict,
    /// How compiling went, if there was something to compile.
    pub build: Option<Build>,
    /// Each section, in the order asked for; those that judge none of the programs are left out.
    pub sections: Vec<Section>,
    /// The page that joins the sections, if there are several.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::paths::as_text_if_any")]
    pub page: Option<PathBuf>,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// What came of one section.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// The exercise's id.
    pub exercise: String,
    /// Its title.
    pub title: String,
    /// Of its checks together.
    pub verdict: Verdict,
    /// The checks that judge the programs.
    pub checks: Vec<CheckResult>,
    /// The programs among them that turned out to be copies of netlab's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "netlabs")]
    pub reference_programs: Vec<String>,
    /// The programs that listened and are not below the workspace, by the exercise's names for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "foreign")]
    pub outside_workspace: Vec<(String, String)>,
    /// The programs whose work netlab's or the system's did, by the exercise's names, and those as `socat`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borrowed: Vec<(String, String)>,
    /// Whether all that could not be told was not told by the programs' own fault: they ended early, or took more
    /// than there is.
    #[serde(skip)]
    pub own_fault: bool,
    /// What each run of it left; empty where none came to its end.
    pub runs: Vec<Artifacts>,
    /// By check, the place of its run among them.
    #[serde(skip)]
    of_run: Vec<Option<usize>>,
    /// How long the runs took.
    pub elapsed_ms: u64,
}

impl Default for Report {
    /// Of nothing yet, about which nothing can be told.
    fn default() -> Self {
        Self { verdict: Verdict::Error, build: None, sections: Vec::new(), page: None, elapsed_ms: 0 }
    }
}

impl Report {
    /// How many checks pass, and how many there are.
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
    /// Nothing judged yet.
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

    /// Adds what came of a run.
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

    /// Adds that a run could not tell anything of this program.
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

    /// What the run of the check at that place left.
    pub(super) fn run_of(&self, check: usize) -> Option<&Artifacts> {
        self.runs.get((*self.of_run.get(check)?)?)
    }

    fn extend(&mut self, checks: Vec<CheckResult>) {
        self.checks.extend(checks);
        self.verdict = Verdict::of_all(self.checks.iter().map(|c| c.verdict));
    }
}
