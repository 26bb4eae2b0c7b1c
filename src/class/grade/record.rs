//! What came of one submission, kept in the student's folder: what was graded is not graded again.

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

/// So many files are named in a note.
const MOST_NAMES: usize = 5;

/// The file of a record.
const FILE: &str = "grade.json";
/// A record is no longer than this.
const MOST: u64 = 64 << 20;

/// What came of one submission.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Whose it is.
    pub student: String,
    /// The learning platform's number of it.
    pub number: Option<String>,
    /// The name of the student's folder.
    pub key: String,
    /// When it arrived.
    pub received: Option<Timestamp>,
    /// Of the sources, the rules and the runtime; empty where the sources could not be taken.
    pub fingerprint: String,
    /// Of the sources alone.
    #[serde(default)]
    pub sources: String,
    /// What the marks are worth.
    pub status: Status,
    /// Why it is not graded, or why it has no marks although it is.
    pub why: Option<String>,
    /// What the compiler said, if the programs did not compile.
    #[serde(default)]
    pub compiler: Option<String>,
    /// What a grader may want to know besides.
    pub notes: Vec<String>,
    /// Each section of the course.
    pub sections: Vec<SectionResult>,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// What came of a submission as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was judged.
    Graded,
    /// What was handed in could not be taken: no marks, and the student's to mend.
    Refused,
    /// The lab could not run: nothing is known, and it is tried again the next time.
    Error,
}

impl Status {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Graded => "graded",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }
}

impl Record {
    /// Of a submission of which nothing is known yet.
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

    /// The student's folder has this record. One that somebody else has written, or could have, is as good as
    /// none.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&own::read(&folder.join(FILE), MOST).ok()?).ok()
    }

    /// Whether this record, made before, tells what `now` would.
    pub(super) fn is_still(&self, now: &Self) -> bool {
        self.status == Status::Graded && self.fingerprint == now.fingerprint
    }

    /// Keeps it, whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let what = || format!("cannot write {}", folder.join(FILE).display());
        own::make_private(folder).or_lab(what)?;
        let text = serde_json::to_vec_pretty(self).or_lab(what)?;
        own::replace(&folder.join(FILE), &text).or_lab(what)
    }

    /// What came of its replay.
    pub(super) fn told(&mut self, told: AttemptReport) {
        (self.status, self.sections, self.why) = (Status::Graded, told.sections, told.ran_out);
        if let Some(BuildFailure { how, words }) = told.unbuilt {
            self.why = Some(how);
            self.compiler = Some(words);
        }
    }

    /// What `kept`, made before, tells.
    pub(super) fn keep(&mut self, kept: Self) {
        (self.status, self.sections, self.elapsed_ms) = (kept.status, kept.sections, kept.elapsed_ms);
        (self.why, self.compiler) = (kept.why, kept.compiler);
    }

    /// What was handed in could not be taken.
    pub(super) fn refuse(&mut self, error: &Error) {
        (self.status, self.why) = (Status::Refused, Some(chain(error)));
    }

    /// The lab could not run.
    pub(super) fn broke(&mut self, error: &Error) {
        (self.status, self.why) = (Status::Error, Some(chain(error)));
    }

    /// Notes which files were too long to be taken.
    pub(super) fn note_left_out(&mut self, files: &[PathBuf]) {
        let names: Vec<String> =
            files.iter().take(MOST_NAMES).map(|name| visible(&name.to_string_lossy())).collect();
        let more = files.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        if !names.is_empty() {
            self.notes.push(format!("left out, because too long: {}{more}", names.join(", ")));
        }
    }

    /// Notes that what ran took its labs away, which a program can do on purpose.
    pub(super) fn note_lost(&mut self) {
        self.notes.push("a lab of its own was lost twice while it ran: look at what it does".into());
    }

    /// Notes what is odd about the sources, what they call their programs, and what those were.
    pub(super) fn note(&mut self, sources: &Sources, manifest: &Manifest) -> Result<()> {
        for (name, command) in manifest.programs().iter().filter(|(_, c)| !c.contains(ON_HOSTS)) {
            self.notes.push(format!("{name} is no program of the submission: {command}"));
        }
        let copies: BTreeSet<&String> =
            self.sections.iter().flat_map(|section| &section.reference_programs).collect();
        self.notes.extend(copies.iter().map(|name| format!("what ran as {name} is netlab's own program")));
        let outside_workspace: BTreeSet<&(String, String)> =
            self.sections.iter().flat_map(|section| &section.outside_workspace).collect();
        self.notes.extend(
            outside_workspace.iter().map(|(name, path)| {
                format!("what listened as {name} is no program of the submission: {path}")
            }),
        );
        let different = sources.differences()?;
        if !different.is_empty() {
            self.notes.push(format!("changed after it was packed: {}", different.join(", ")));
        }
        self.notes.iter_mut().for_each(|note| *note = visible(note));
        Ok(())
    }

    /// What was used in place of programs of the student's own, as `socat`.
    pub fn borrowed(&self) -> BTreeSet<&String> {
        self.sections.iter().flat_map(|section| &section.borrowed).map(|(_, what)| what).collect()
    }

    /// The reports of its runs, seen from the folder of the grades.
    pub fn reports(&self) -> impl Iterator<Item = &PathBuf> {
        self.sections.iter().flat_map(|section| &section.reports)
    }
}

/// The error with its causes. A wrong file is told with what is wrong in it.
fn chain(error: &Error) -> String {
    if let Some(problems) = crate::yaml::Problems::of(error) {
        return printable(&problems.render(false));
    }
    printable(&error.with_causes())
}
