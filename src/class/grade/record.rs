//! The record of one submission, kept in the student's folder so that it is not graded again.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    SectionResult,
    replay::{AttemptReport, BuildFailure},
};
use crate::{
    Error, Result,
    class::submission::{Sources, Submission},
    error::Context,
    own,
    printable::{printable, visible},
    workspace::{Manifest, ON_HOSTS},
};

/// Maximum number of files named in a note.
const MOST_NAMES: usize = 5;

/// The file of a record.
const FILE: &str = "grade.json";
/// Maximum length of a record, in bytes.
const MOST: u64 = 64 << 20;

/// The result of one submission.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The student's name.
    pub student: String,
    /// Its number on the learning platform.
    pub number: Option<String>,
    /// The name of the student's folder.
    pub key: String,
    /// When it arrived.
    pub received: Option<Timestamp>,
    /// Hash of the sources, the rules and the runtime; empty if the sources could not be read.
    pub fingerprint: String,
    /// Hash of the sources alone.
    #[serde(default)]
    pub sources: String,
    /// Whether it was graded.
    pub status: Status,
    /// Why it is not graded, or why not everything was judged although it is.
    pub why: Option<String>,
    /// The compiler's output, if the programs did not compile.
    #[serde(default)]
    pub compiler: Option<String>,
    /// What else a grader may want to know.
    pub notes: Vec<String>,
    /// Each section of the course.
    pub sections: Vec<SectionResult>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What became of a submission as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was judged.
    Graded,
    /// What was handed in cannot be used: no marks, and the student has to fix it.
    Refused,
    /// The lab could not run: no marks yet, and it is tried again the next time.
    Error,
}

impl Status {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Graded => "graded",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }
}

impl Record {
    /// Creates the record of a submission of which nothing is known yet.
    pub(super) fn new(submission: &Submission) -> Self {
        Self {
            student: submission.student.clone(),
            number: submission.number.clone(),
            key: submission.key.clone(),
            received: submission.received,
            fingerprint: String::new(),
            sources: String::new(),
            status: Status::Error,
            why: None,
            compiler: None,
            notes: Vec::new(),
            sections: Vec::new(),
            elapsed_ms: 0,
        }
    }

    /// Reads the record in a student's folder. One that somebody else has written, or could have, is ignored.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&own::read(&folder.join(FILE), MOST).ok()?).ok()
    }

    /// Returns whether this earlier record is still valid for what `now` is about.
    pub(super) fn is_still(&self, now: &Self) -> bool {
        self.status == Status::Graded && self.fingerprint == now.fingerprint
    }

    /// Writes it to the student's folder, whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let what = || format!("cannot write {}", folder.join(FILE).display());
        own::make_private(folder).or_lab(what)?;
        let text = serde_json::to_vec_pretty(self).or_lab(what)?;
        own::replace(&folder.join(FILE), &text).or_lab(what)
    }

    /// Takes over the report of its replay.
    pub(super) fn take(&mut self, report: AttemptReport) {
        (self.status, self.sections, self.why) = (Status::Graded, report.sections, report.ran_out);
        if let Some(BuildFailure { how, words }) = report.unbuilt {
            self.why = Some(how);
            self.compiler = Some(words);
        }
    }

    /// Takes over the result of an earlier record.
    pub(super) fn keep(&mut self, kept: Self) {
        (self.status, self.sections, self.elapsed_ms) = (kept.status, kept.sections, kept.elapsed_ms);
        (self.why, self.compiler) = (kept.why, kept.compiler);
    }

    /// Marks it as refused: what was handed in cannot be used.
    pub(super) fn refuse(&mut self, error: &Error) {
        (self.status, self.why) = (Status::Refused, Some(chain(error)));
    }

    /// Marks it as an error: the lab could not run.
    pub(super) fn broke(&mut self, error: &Error) {
        (self.status, self.why) = (Status::Error, Some(chain(error)));
    }

    /// Notes which files were left out because they are too long.
    pub(super) fn note_left_out(&mut self, files: &[PathBuf]) {
        let names: Vec<String> =
            files.iter().take(MOST_NAMES).map(|name| visible(&name.to_string_lossy())).collect();
        let more = files.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        if !names.is_empty() {
            self.notes.push(format!("left out because too long: {}{more}", names.join(", ")));
        }
    }

    /// Notes that its labs were lost while it ran, which a program can cause on purpose.
    pub(super) fn note_lost(&mut self) {
        self.notes.push("its lab was lost twice while it ran: look at what it does".into());
    }

    /// Notes what is odd about the sources, about the commands for their programs, and about what ran.
    pub(super) fn note(&mut self, sources: &Sources, manifest: &Manifest) -> Result<()> {
        for (name, command) in manifest.programs().iter().filter(|(_, c)| !c.contains(ON_HOSTS)) {
            self.notes.push(format!("{name} is not a program of the submission: {command}"));
        }
        let copies: BTreeSet<&String> =
            self.sections.iter().flat_map(|section| &section.reference_programs).collect();
        self.notes.extend(copies.iter().map(|name| format!("what ran as {name} is netlab's own program")));
        let outside_workspace: BTreeSet<&(String, String)> =
            self.sections.iter().flat_map(|section| &section.outside_workspace).collect();
        self.notes.extend(outside_workspace.iter().map(|(name, path)| {
            format!("what listened as {name} is not a program of the submission: {path}")
        }));
        let different = sources.differences()?;
        if !different.is_empty() {
            self.notes.push(format!("changed after it was packed: {}", different.join(", ")));
        }
        self.notes.iter_mut().for_each(|note| *note = visible(note));
        Ok(())
    }

    /// Returns what was used in place of the student's own programs, e.g. `socat`.
    pub fn borrowed(&self) -> BTreeSet<&String> {
        self.sections.iter().flat_map(|section| &section.borrowed).map(|(_, what)| what).collect()
    }

    /// Returns the reports of its runs, relative to the folder of the grades.
    pub fn reports(&self) -> impl Iterator<Item = &PathBuf> {
        self.sections.iter().flat_map(|section| &section.reports)
    }
}

/// Describes an error with its causes; for a wrong YAML file, with every problem in it.
fn chain(error: &Error) -> String {
    if let Some(problems) = crate::yaml::Problems::of(error) {
        return printable(&problems.render(false));
    }
    printable(&error.with_causes())
}
