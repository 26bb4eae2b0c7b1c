//! What came of one section of the course for one submission.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    check,
    class::course::{Borrowed, Rule},
    judge::{CheckResult, Verdict},
};

/// One section, judged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SectionResult {
    /// The exercise's id.
    pub exercise: String,
    /// Its title.
    pub title: String,
    /// The checks that count, in the exercise's order.
    pub checks: Vec<CheckResult>,
    /// The submission's programs that turned out to be copies of netlab's own.
    #[serde(default, alias = "netlabs")]
    pub reference_programs: Vec<String>,
    /// What listened and is no program of the submission, by the exercise's names.
    #[serde(default, alias = "foreign")]
    pub outside_workspace: Vec<(String, String)>,
    /// The submission's programs that turned out to be netlab's or the system's, by the exercise's names, and what
    /// they were, as `socat`.
    #[serde(default)]
    pub borrowed: Vec<(String, String)>,
    /// The reports of its runs, seen from the folder of the grades.
    pub reports: Vec<PathBuf>,
    /// How long the runs took.
    pub elapsed_ms: u64,
}

impl SectionResult {
    /// What a check of the section found. `folder` is the student's; `borrowed` says what comes of checks about a
    /// program that is not.
    pub(super) fn of(rule: &Rule, found: Option<&check::Section>, folder: &Path, borrowed: Borrowed) -> Self {
        let refused = if borrowed == Borrowed::Refuse { found.map(|s| s.borrowed.as_slice()) } else { None };
        let result = |id: &str| {
            let check = found?.checks.iter().find(|check| check.id == id)?.clone();
            Some(refuse(rule, check, refused.unwrap_or_default()))
        };
        let above = folder.parent().unwrap_or(folder);
        let reports = found.into_iter().flat_map(|section| &section.runs);
        let reports = reports.map(|run| run.report.strip_prefix(above).unwrap_or(&run.report).to_owned());
        Self {
            reports: reports.collect(),
            elapsed_ms: found.map_or(0, |section| section.elapsed_ms),
            reference_programs: found.map(|section| section.reference_programs.clone()).unwrap_or_default(),
            outside_workspace: found.map(|section| section.outside_workspace.clone()).unwrap_or_default(),
            borrowed: found.map(|section| section.borrowed.clone()).unwrap_or_default(),
            ..Self::with(rule, |id| result(id).ok_or("netlab.yaml names no program that it could judge"))
        }
    }

    /// Nothing could be told of it.
    pub(super) fn unknown(rule: &Rule, why: &str) -> Self {
        Self::with(rule, |_| Err(why))
    }

    fn with<'w>(rule: &Rule, result: impl Fn(&str) -> Result<CheckResult, &'w str>) -> Self {
        let exercise = &rule.template.exercise;
        let counting = exercise.checks.iter().filter(|check| rule.checks.contains_key(&check.id));
        Self {
            exercise: exercise.id.clone(),
            title: exercise.title.to_string(),
            checks: counting
                .map(|check| result(&check.id).unwrap_or_else(|why| CheckResult::unknown(check, why)))
                .collect(),
            reference_programs: Vec::new(),
            outside_workspace: Vec::new(),
            borrowed: Vec::new(),
            reports: Vec::new(),
            elapsed_ms: 0,
        }
    }

    /// Of all its checks together.
    pub fn verdict(&self) -> Verdict {
        Verdict::of_all(self.checks.iter().map(|check| check.verdict))
    }
}

/// The check, which fails whatever came of it if it is about a program that was borrowed.
fn refuse(rule: &Rule, check: CheckResult, borrowed: &[(String, String)]) -> CheckResult {
    let about =
        rule.template.exercise.checks.iter().find(|c| c.id == check.id).and_then(|c| c.about.as_ref());
    match borrowed.iter().find(|(program, _)| Some(program) == about) {
        Some((_, what)) => CheckResult {
            verdict: Verdict::Fail,
            observed: not_their_own([what]),
            evidence: Vec::new(),
            by_hand: Vec::new(),
            ..check
        },
        None => check,
    }
}

/// What is told of borrowed programs.
pub fn not_their_own<'w>(what: impl IntoIterator<Item = &'w String>) -> String {
    let names: Vec<&str> = what.into_iter().map(String::as_str).collect();
    format!("not the student's own: {}", names.join(", "))
}
