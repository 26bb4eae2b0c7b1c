//! Writes the grades in the formats that people and other programs read.

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
    /// The rules by which it was graded.
    pub course: &'a Course,
    /// The runtime of the labs.
    pub runtime: RuntimeKind,
    /// Each submission, with its marks unless the lab could not run.
    pub students: Vec<(&'a Record, Option<Marks>)>,
    /// What submissions share.
    pub alike: &'a Alike,
}

impl<'a> Grades<'a> {
    /// Computes the marks that the course gives for the records.
    pub fn new(course: &'a Course, runtime: RuntimeKind, records: &'a [Record], alike: &'a Alike) -> Self {
        let students = records.iter().map(|record| (record, Marks::of(record, course))).collect();
        Self { course, runtime, students, alike }
    }

    /// Returns the grades as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        json::render(self)
    }

    /// Writes every format to the folder, and each student's `results.json` to the student's. Returns the files
    /// for the class.
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

    /// Returns the grades as JUnit XML, one suite per student.
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

/// Returns a failed check if the submission as a whole was not judged, because no checks at all look like success.
fn as_a_whole(record: &Record) -> Option<CheckResult> {
    let why = record.why.clone()?;
    Some(CheckResult {
        id: "can-be-judged".into(),
        verdict: Verdict::Error,
        expected: "the submission can be read, compiles, and finishes in time".into(),
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

/// Formats points as people write them, without needless zeros.
pub fn points(points: f64) -> String {
    let text = format!("{points:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
