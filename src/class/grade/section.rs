//! The result of one section of the course for one submission.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::marks::share;
use crate::{
    check,
    class::course::{Borrowed, Rule},
    judge::{CheckResult, Outcome, Verdict},
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
    /// What listened without being a program of the submission, by the exercise's names.
    #[serde(default, alias = "foreign")]
    pub outside_workspace: Vec<(String, String)>,
    /// The submission's programs that turned out to be netlab's or the system's, by the exercise's names, with what
    /// they were, e.g. `socat`.
    #[serde(default)]
    pub borrowed: Vec<(String, String)>,
    /// The reports of its runs, relative to the folder of the grades.
    pub reports: Vec<PathBuf>,
    /// How long the runs took, in milliseconds.
    pub elapsed_ms: u64,
}

impl SectionResult {
    /// Makes the result from what a check of the section found. `folder` is the student's; `borrowed` says what
    /// happens to checks about a program that is not the student's own.
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
            ..Self::with(rule, |id| result(id).ok_or("netlab.yaml names no program for it to judge"))
        }
    }

    /// Makes the result of a section about which nothing is known.
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

    /// Returns the verdict of all its checks together.
    pub fn verdict(&self) -> Verdict {
        Verdict::of_all(self.checks.iter().map(|check| check.verdict))
    }
}

/// Returns the check's result, turned into a fail if the check is about a borrowed program.
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

/// Describes borrowed programs.
pub fn not_their_own<'w>(what: impl IntoIterator<Item = &'w String>) -> String {
    let names: Vec<&str> = what.into_iter().map(String::as_str).collect();
    format!("not the student's own: {}", names.join(", "))
}

/// Returns how much of a section is right in one run of it, from 0 to 1, by a course's weights.
pub fn share_of_run(rule: &Rule, outcome: Outcome, borrowed: Borrowed) -> f64 {
    let mut found = check::Section::new(&rule.template.exercise);
    found.add(outcome);
    share(rule, &SectionResult::of(rule, Some(&found), Path::new(""), borrowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        class::course::Course,
        judge::{Artifacts, judge},
        record::Record,
        timeline::{Timeline, What},
        yaml::Document,
    };

    /// A course of one section, and what came of the recorded run of it; `alter` changes what was seen.
    fn section(course: &str, alter: impl Fn(&What) -> bool) -> (Course, check::Section) {
        let document = Document::parse("course.yaml", course.as_bytes()).unwrap();
        let course = Course::from_document(&document, Path::new("")).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/namespaces-2");
        let mut record = Record::read(&folder).unwrap();
        let events = record.timeline.events().iter().filter(|event| alter(&event.what)).cloned();
        record.timeline = Timeline::of(events.collect());
        let artifacts = Artifacts::in_folder(Path::new("grades/doe/2"));
        let mut section = check::Section::new(&record.exercise);
        section.add(judge(&record.exercise, &record, artifacts));
        (course, section)
    }

    fn result(course: &Course, found: Option<&check::Section>) -> SectionResult {
        SectionResult::of(&course.sections[0], found, Path::new("grades/doe"), course.borrowed)
    }

    const WEIGHED: &str = "sections: {'2': {checks: {server-listens: 3, time-wait-on-clients: 0}}}";

    #[test]
    fn a_section_is_worth_what_its_checks_weigh() {
        let (course, found) = section(WEIGHED, |_| true);
        let right = result(&course, Some(&found));
        assert_eq!((right.verdict(), share(&course.sections[0], &right)), (Verdict::Pass, 1.0));
        assert_eq!(right.reports, [Path::new("doe/2/report.html")]);

        let (course, found) = section(WEIGHED, |what| !matches!(what, What::Sockets { .. }));
        let wrong = result(&course, Some(&found));
        let failed = |id: &str| wrong.checks.iter().any(|c| c.id == id && c.verdict == Verdict::Fail);
        assert!(failed("server-listens") && !failed("handshake-per-client"));
        let weights: f64 = course.sections[0].checks.values().sum();
        let lost: f64 = wrong
            .checks
            .iter()
            .filter(|c| c.verdict != Verdict::Pass)
            .map(|c| course.sections[0].checks[&c.id])
            .sum();
        assert!(lost >= 3.0);
        assert!((share(&course.sections[0], &wrong) - (weights - lost) / weights).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_their_own_fails_unless_the_course_only_notes_it() {
        let (course, mut found) = section("sections: {'2': }", |_| true);
        found.borrowed = vec![("server".into(), "socat".into())];
        let refused = result(&course, Some(&found));
        let about = |id: &str| refused.checks.iter().find(|check| check.id == id).unwrap();
        assert_eq!(about("server-listens").observed, "not the student's own: socat");
        assert_eq!(refused.verdict(), Verdict::Fail);
        let noted = Course { borrowed: Borrowed::Note, ..course };
        assert_eq!(result(&noted, Some(&found)).verdict(), Verdict::Pass);
    }

    #[test]
    fn what_was_not_judged_is_unknown() {
        let (course, _) = section("sections: {'2': }", |_| true);
        let unknown = result(&course, None);
        assert_eq!(unknown.verdict(), Verdict::Error);
        assert!(!unknown.checks.is_empty() && share(&course.sections[0], &unknown) < f64::EPSILON);
    }
}
