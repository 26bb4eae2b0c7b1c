//! `course.yaml`: the rules by which a class is graded.

mod validate;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use indexmap::IndexMap;
use jiff::{Timestamp, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    digest::sha256,
    exercise::{self, Template},
    topology,
    yaml::{self, Document, Problems},
};

/// How a class is graded. Paths are relative to the file's folder.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "netlab course")]
pub struct File {
    /// The course's name, shown in the table of grades.
    #[serde(default)]
    pub title: Option<String>,
    /// The points for a submission in which everything passes. The default is 10.
    #[serde(default)]
    #[schemars(range(min = 0.01, max = 1_000_000.0))]
    pub points: Option<f64>,
    /// The exercises that count, by id. If omitted, every exercise that judges a program counts equally.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1))]
    pub sections: Option<IndexMap<String, Option<Section>>>,
    /// The programs that a submission must have, by the exercises' names. The default is the server.
    /// Checks about other programs do not count.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub programs: Option<Vec<String>>,
    /// A folder with exercises of your own; a file with the name of a built-in one replaces it.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub exercises: Option<String>,
    /// The deadline, e.g. `2026-12-01T23:59:00+01:00` or `2026-12-01T23:59:00[Europe/Madrid]`.
    #[serde(default)]
    pub deadline: Option<String>,
    /// The penalty for late submissions. If omitted, lateness is noted but costs nothing.
    #[serde(default)]
    pub late: Option<Late>,
    /// A folder with the code that students were given, which is ignored when submissions are compared.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub starter: Option<String>,
    /// What happens to checks about a program that is not the student's own, but netlab's, the system's (e.g.
    /// `socat`), or a copy of one: `refuse` (the default) or `note`.
    #[serde(default)]
    pub borrowed: Option<Borrowed>,
    /// The most a submission may use.
    #[serde(default)]
    pub limits: Option<Limits>,
}

/// What happens to checks about a program that is not the student's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Borrowed {
    /// They fail.
    #[default]
    Refuse,
    /// They count like any others, and a note tells the grader.
    Note,
}

/// How an exercise counts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its share of the points, relative to the other sections. The default is 1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub weight: Option<f64>,
    /// Whether it is hidden from students.
    #[serde(default)]
    pub hidden: bool,
    /// The weights of its checks, by id. The default is 1; a check with weight 0 does not count.
    #[serde(default)]
    pub checks: IndexMap<String, f64>,
}

/// The penalty for lateness.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// Percentage of the points taken off for each day late, counting a part of a day as a whole one.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub percent_per_day: f64,
    /// The most that is taken off, in percent. The default is 100.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub percent_at_most: Option<f64>,
}

/// The most a submission may use.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Time for the whole submission, in seconds. The default is 300.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    pub seconds: Option<u64>,
    /// Time to compile it, in seconds. The default is 60.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    pub build_seconds: Option<u64>,
    /// Memory of each host. The default is `512MiB`.
    #[serde(default)]
    #[schemars(extend(
        "pattern" = "^[1-9][0-9]{0,8}(KiB|MiB|GiB)$",
        "patternErrorMessage" = "an amount of memory, e.g. `256MiB`; the units are KiB, MiB and GiB",
    ))]
    pub memory: Option<String>,
    /// Space for files: this much for the workspace, and for each host's own files. The default is `64MiB`.
    #[serde(default)]
    #[schemars(extend(
        "pattern" = "^[1-9][0-9]{0,8}(KiB|MiB|GiB)$",
        "patternErrorMessage" = "an amount of disk, e.g. `64MiB`; the units are KiB, MiB and GiB",
    ))]
    pub disk: Option<String>,
    /// Processor cores of each host. The default is 1.
    #[serde(default)]
    #[schemars(range(min = 0.1, max = 1024))]
    pub cpus: Option<f64>,
    /// Processes and threads of each host. The default is 200.
    #[serde(default)]
    #[schemars(range(min = 50, max = 4_194_304))]
    pub pids: Option<u64>,
}

/// A course, checked, with every default filled in.
#[derive(Clone, Debug)]
pub struct Course {
    /// Its name.
    pub title: String,
    /// The points for a submission in which everything passes.
    pub points: f64,
    /// The sections that count.
    pub sections: Vec<Rule>,
    /// The programs whose checks count, by the exercises' names.
    pub programs: Vec<String>,
    /// The deadline.
    pub deadline: Option<Timestamp>,
    /// The penalty for lateness.
    pub late: Option<Late>,
    /// The folder with the code that students were given.
    pub starter: Option<PathBuf>,
    /// What happens to checks about a program that is not the student's own.
    pub borrowed: Borrowed,
    /// How long a submission may take.
    pub within: Duration,
    /// How long compiling it may take.
    pub build_within: Duration,
    /// The most each host may use.
    pub limits: topology::Limits,
    /// A hash of the rules and exercises: submissions graded by others are graded again.
    pub fingerprint: String,
}

/// An exercise, and how it counts.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The exercise.
    pub template: Template,
    /// Its share of the points, relative to the other sections.
    pub weight: f64,
    /// Whether it is hidden from students.
    pub hidden: bool,
    /// The weights of its checks that count, by id.
    pub checks: IndexMap<String, f64>,
}

impl Course {
    /// Keys that only a course has.
    pub const KEYS: [&str; 5] = ["sections", "deadline", "points", "late", "starter"];

    /// Reads a course's file. Without one, returns a course in which every section counts equally. The error
    /// carries every problem in the file ([`crate::yaml::Problems`]).
    pub fn load(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) => Self::from_document(&Document::read(path)?, path.parent().unwrap_or(Path::new(""))),
            None => Self::from_document(&Document::parse("course.yaml", b"{}")?, Path::new("")),
        }
    }

    /// Makes a course from a parsed file. Paths in it are relative to `folder`.
    pub fn from_document(document: &Document, folder: &Path) -> Result<Self> {
        document.resolve(|file, problems| Self::resolve(&file, document, folder, problems))
    }

    /// Makes a course from a file, and adds what is wrong to `problems`; the course is then of no use.
    fn resolve(file: &File, document: &Document, folder: &Path, problems: &mut Problems) -> Result<Self> {
        let deadline = validate::deadline(file, document, problems);
        let own = validate::folder(file.exercises.as_deref(), "exercises", folder, document, problems);
        let starter = validate::folder(file.starter.as_deref(), "starter", folder, document, problems);
        let all = exercise::all(own.as_deref())?;
        let programs = validate::programs(file, &all, document, problems);
        let sections = validate::sections(file, all, &programs, document, problems);
        let limits = file.limits.clone().unwrap_or_default();
        let seconds = |given: Option<u64>, default| Duration::from_secs(given.unwrap_or(default));
        let amount = |given: &Option<String>, default: u64| {
            given.as_deref().and_then(topology::bytes).unwrap_or(default << 20)
        };
        Ok(Self {
            title: file.title.clone().unwrap_or_else(|| "Grades".into()),
            points: file.points.unwrap_or(10.0),
            fingerprint: fingerprint(file, &sections, &programs),
            sections,
            programs,
            deadline,
            late: file.late,
            starter,
            borrowed: file.borrowed.unwrap_or_default(),
            within: seconds(limits.seconds, 300),
            build_within: seconds(limits.build_seconds, 60),
            limits: topology::Limits {
                memory: Some(amount(&limits.memory, 512)),
                // The schema keeps it between 0.1 and 1024.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                millicpus: Some((limits.cpus.unwrap_or(1.0) * 1000.0).round() as u32),
                pids: Some(limits.pids.unwrap_or(200)),
                disk: Some(amount(&limits.disk, 64)),
            },
        })
    }
}

/// Returns the JSON schema of a course's file.
pub fn schema() -> serde_json::Value {
    yaml::schema::<File>()
}

/// Hashes everything that decides how a program is judged: the exercises, the limits, what may be borrowed, and
/// netlab's version.
fn fingerprint(file: &File, sections: &[Rule], programs: &[String]) -> String {
    let limits =
        serde_json::to_string(&(&file.limits, file.borrowed.unwrap_or_default())).unwrap_or_default();
    let exercises: Vec<String> = sections.iter().map(|rule| rule.template.fingerprint()).collect();
    let version = env!("CARGO_PKG_VERSION");
    sha256(format!("{version}\n{limits}\n{}\n{}", programs.join("\n"), exercises.join("\n")))
}

/// Parses a point in time as people write it: with an offset from UTC or with the name of a time zone.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| text.parse::<Zoned>().ok().map(|zoned| zoned.timestamp()))
}
