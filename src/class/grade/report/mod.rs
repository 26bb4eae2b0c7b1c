//! The grades, in the forms that people and other programs want them.

mod csv;
mod gradescope;
mod json;
mod page;

use std::path::{Path, PathBuf};

use super::{Marks, Record};
use crate::{
    Result,
    class::{course::Course, similarity::Alike},
    error::Context,
    judge::{CheckResult, Verdict},
    own,
    report::junit::{Suite, suites},
    runtime::RuntimeKind,
};

/// A class with its grades.
pub struct Grades<'a> {
    /// By what it was graded.
    pub course: &'a Course,
    /// On what.
    pub runtime: RuntimeKind,
    /// Each submission, with its marks if the lab could tell.
    pub students: Vec<(&'a Record, Option<Marks>)>,
    /// What submissions share.
    pub alike: &'a Alike,
}

impl<'a> Grades<'a> {
    /// With the marks that the course gives for the records.
    pub fn new(course: &'a Course, runtime: RuntimeKind, records: &'a [Record], alike: &'a Alike) -> Self {
        let students = records.iter().map(|record| (record, Marks::of(record, course))).collect();
        Self { course, runtime, students, alike }
    }

    /// As one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        json::render(self)
    }

    /// Writes every form into the folder, and each student's `results.json` into the student's. Gives
    /// the files for the class.
    pub fn write(&self, out: &Path) -> Result<Vec<PathBuf>> {
        let files = [
            ("grades.csv", csv::render(self)),
            ("grades.html", page::render(self)),
            ("grades.xml", self.junit()),
            ("grades.json", format!("{:#}\n", self.to_json())),
        ];
        for (record, marks) in &self.students {
            let results = gradescope::render(self.course, record, marks.as_ref());
            write(&out.join(&record.key).join("results.json"), &format!("{results:#}\n"))?;
        }
        files
            .into_iter()
            .map(|(name, text)| {
                let path = out.join(name);
                write(&path, &text).map(|()| path)
            })
            .collect()
    }

    /// A suite a student.
    fn junit(&self) -> String {
        let records = || self.students.iter().map(|(record, _)| *record);
        let whole: Vec<Option<CheckResult>> = records().map(as_a_whole).collect();
        let each: Vec<Suite<'_>> =
            records().zip(&whole).map(|(record, whole)| suite(record, whole.as_ref())).collect();
        suites(&each)
    }
}

fn suite<'s>(record: &'s Record, whole: Option<&'s CheckResult>) -> Suite<'s> {
    let mut checks: Vec<(&str, &CheckResult)> = whole.map(|check| ("all", check)).into_iter().collect();
    for section in &record.sections {
        checks.extend(section.checks.iter().map(|check| (section.exercise.as_str(), check)));
    }
    Suite { name: record.student.clone(), checks, elapsed_ms: record.elapsed_ms }
}

/// What kept the submission as a whole from being judged, as a check: no checks at all look like success.
fn as_a_whole(record: &Record) -> Option<CheckResult> {
    let why = record.why.clone()?;
    Some(CheckResult {
        id: "can-be-judged".into(),
        verdict: Verdict::Error,
        expected: "the submission can be taken, compiles, and is done within its time".into(),
        observed: why,
        moment: None,
        evidence: record.compiler.iter().flat_map(|words| words.lines()).map(Into::into).collect(),
        hints: Vec::new(),
        by_hand: Vec::new(),
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    own::replace(path, text.as_bytes()).or_lab(|| format!("cannot write {}", path.display()))
}

/// Points as people write them: without needless zeros.
pub fn points(points: f64) -> String {
    let text = format!("{points:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
