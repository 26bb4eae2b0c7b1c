//! The grades, in the forms that people and other programs want them.

mod csv;
mod gradescope;
mod json;
mod page;

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Marks, Record};
use crate::{
    Result,
    alike::Pair,
    course::Course,
    error::Context,
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
    /// Submissions that share large parts.
    pub pairs: &'a [Pair],
}

impl<'a> Grades<'a> {
    /// With the marks that the course gives for the records.
    pub fn new(course: &'a Course, runtime: RuntimeKind, records: &'a [Record], pairs: &'a [Pair]) -> Self {
        let students = records.iter().map(|record| (record, Marks::of(record, course))).collect();
        Self { course, runtime, students, pairs }
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
        let suite = |record: &'a Record| Suite {
            name: record.student.clone(),
            checks: record
                .sections
                .iter()
                .flat_map(|section| section.checks.iter().map(|check| (section.exercise.as_str(), check)))
                .collect(),
            elapsed_ms: record.elapsed_ms,
        };
        suites(&self.students.iter().map(|(record, _)| suite(record)).collect::<Vec<_>>())
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).or_lab(|| format!("cannot write {}", path.display()))
}

/// Points as people write them: without needless zeros.
pub fn points(points: f64) -> String {
    let text = format!("{points:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
