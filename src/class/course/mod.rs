//! `course.yaml`: what a class is graded by.

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

/// How a class is graded. Paths are seen from the file's folder.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "netlab course")]
pub struct File {
    /// The course's name, as the table of grades has it.
    #[serde(default)]
    pub title: Option<String>,
    /// What everything right is worth; 10 if not said.
    #[serde(default)]
    #[schemars(range(min = 0.01, max = 1_000_000.0))]
    pub points: Option<f64>,
    /// The exercises that count, by id. Without this, every one that judges a program, all alike.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1))]
    pub sections: Option<IndexMap<String, Option<Section>>>,
    /// The programs that a submission must have, by the exercises' names; the server if not said. Checks
    /// about others do not count.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub programs: Option<Vec<String>>,
    /// A folder with exercises of your own; a file named as a compiled-in one takes its place.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub exercises: Option<String>,
    /// Until when to submit, as `2026-12-01T23:59:00+01:00` or `2026-12-01T23:59:00[Europe/Madrid]`.
    #[serde(default)]
    pub deadline: Option<String>,
    /// What is taken off for what comes later; without this, it is noted and costs nothing.
    #[serde(default)]
    pub late: Option<Late>,
    /// A folder with what students were given, which counts for nobody's own when comparing.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub starter: Option<String>,
    /// What comes of checks about a program that is not the student's own, but netlab's or the system's, or a copy
    /// of one, as `socat`: `refuse`, which it is if not said, or `note`.
    #[serde(default)]
    pub borrowed: Option<Borrowed>,
    /// What a submission may use.
    #[serde(default)]
    pub limits: Option<Limits>,
}

/// What comes of checks about a program that is not the student's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Borrowed {
    /// They fail.
    #[default]
    Refuse,
    /// They count as any others, and the grader is told.
    Note,
}

/// How an exercise counts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its share of the points, relative to the others'; 1 if not said.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub weight: Option<f64>,
    /// Whether students are not to see it.
    #[serde(default)]
    pub hidden: bool,
    /// The weights of its checks within it, by id; 1 where not said, 0 for one that does not count.
    #[serde(default)]
    pub checks: IndexMap<String, f64>,
}

/// What lateness costs.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// Of the points reached, for each day begun.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub percent_per_day: f64,
    /// At most so much; all of it if not said.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub percent_at_most: Option<f64>,
}

/// What a submission may use.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// All of it, in seconds; 300 if not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    pub seconds: Option<u64>,
    /// Compiling, in seconds; 60 if not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    pub build_seconds: Option<u64>,
    /// Memory of each host, as `512MiB`, which it is if not said.
    #[serde(default)]
    #[schemars(extend(
        "pattern" = "^[1-9][0-9]{0,8}(KiB|MiB|GiB)$",
        "patternErrorMessage" = "an amount of memory, as `256MiB`; the units are KiB, MiB and GiB",
    ))]
    pub memory: Option<String>,
    /// Files, as `64MiB`, which it is if not said: the workspace, and besides it each host's own.
    #[serde(default)]
    #[schemars(extend(
        "pattern" = "^[1-9][0-9]{0,8}(KiB|MiB|GiB)$",
        "patternErrorMessage" = "an amount of disk, as `64MiB`; the units are KiB, MiB and GiB",
    ))]
    pub disk: Option<String>,
    /// Processor cores of each host; 1 if not said.
    #[serde(default)]
    #[schemars(range(min = 0.1, max = 1024))]
    pub cpus: Option<f64>,
    /// Processes and threads of each host; 200 if not said.
    #[serde(default)]
    #[schemars(range(min = 50, max = 4_194_304))]
    pub pids: Option<u64>,
}

/// A course, checked, with nothing left to default.
#[derive(Clone, Debug)]
pub struct Course {
    /// Its name.
    pub title: String,
    /// What everything right is worth.
    pub points: f64,
    /// What counts.
    pub sections: Vec<Rule>,
    /// The programs whose checks count, by the exercises' names.
    pub programs: Vec<String>,
    /// Until when to submit.
    pub deadline: Option<Timestamp>,
    /// What lateness costs.
    pub late: Option<Late>,
    /// What students were given.
    pub starter: Option<PathBuf>,
    /// What comes of checks about a program that is not the student's own.
    pub borrowed: Borrowed,
    /// How long a submission may take.
    pub within: Duration,
    /// How long compiling it may take.
    pub build_within: Duration,
    /// What each host may use.
    pub limits: topology::Limits,
    /// The same for the same rules and exercises: grades made by others are made anew.
    pub fingerprint: String,
}

/// An exercise, and how it counts.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The exercise.
    pub template: Template,
    /// Its share of the points, relative to the others'.
    pub weight: f64,
    /// Whether students are not to see it.
    pub hidden: bool,
    /// The weights of its checks that count, by id.
    pub checks: IndexMap<String, f64>,
}

impl Course {
    /// Keys that only a course has.
    pub const KEYS: [&str; 5] = ["sections", "deadline", "points", "late", "starter"];

    /// Reads a course's file; without one, the course by which every section counts alike. The error
    /// carries every problem of the file ([`crate::yaml::Problems`]).
    pub fn load(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) => Self::from_document(&Document::read(path)?, path.parent().unwrap_or(Path::new(""))),
            None => Self::from_document(&Document::parse("course.yaml", b"{}")?, Path::new("")),
        }
    }

    /// What a parsed file says. Paths in it are seen from `folder`.
    pub fn from_document(document: &Document, folder: &Path) -> Result<Self> {
        document.resolve(|file, problems| Self::resolve(&file, document, folder, problems))
    }

    /// Of no use where something is wrong that is among the problems then.
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

/// The JSON schema of a course's file.
pub fn schema() -> serde_json::Value {
    yaml::schema::<File>()
}

/// Of what decides how a program is judged: the exercises, the limits, what may be borrowed, and netlab itself.
fn fingerprint(file: &File, sections: &[Rule], programs: &[String]) -> String {
    let limits =
        serde_json::to_string(&(&file.limits, file.borrowed.unwrap_or_default())).unwrap_or_default();
    let exercises: Vec<String> = sections.iter().map(|rule| rule.template.fingerprint()).collect();
    let version = env!("CARGO_PKG_VERSION");
    sha256(format!("{version}\n{limits}\n{}\n{}", programs.join("\n"), exercises.join("\n")))
}

/// A moment as people write it: with an offset from UTC, or with a time zone's name.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| text.parse::<Zoned>().ok().map(|zoned| zoned.timestamp()))
}
