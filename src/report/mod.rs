//! What a run leaves for people and for programs. Everything here only reads the evidence.

mod fold;
pub mod html;
pub mod junit;
pub mod ladder;
pub mod markdown;
mod provenance;
pub mod teller;
mod text;

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    capture::Conversation,
    error::{Context, FileContext},
    exercise::Origin,
    judge::{self, Artifacts, CheckResult, Outcome, Snapshot, Verdict},
    own,
    record::Record,
    run::Folder,
    timeline::Timeline,
    topology::Plan,
};

use teller::{Focus, Teller};

pub use text::{Narrator, Style};

/// Everything that was done and seen in a run: the contents of `evidence.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What the assignment asks.
    pub asks: String,
    /// The answer; omitted if the run judges somebody's own program.
    pub explain: String,
    /// The lab it ran on.
    pub plan: Plan,
    /// The exercise's ports, by name.
    pub ports: IndexMap<String, u16>,
    /// The command lines of the programs.
    pub programs: IndexMap<String, String>,
    /// The conversations on the wire with those ports.
    pub conversations: Vec<Conversation>,
    /// How many more conversations there were.
    #[serde(default, skip_serializing_if = "is_none")]
    pub more_conversations: usize,
    /// Whose run it is.
    #[serde(default)]
    pub origin: Origin,
    /// The user's own program that was judged, by the exercise's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<String>,
    /// What the checks ask about.
    #[serde(default)]
    pub focus: Focus,
    /// Every event, in order.
    pub timeline: Timeline,
}

impl Evidence {
    /// Gathers the evidence of a run.
    pub fn new(record: &Record, outcome: &Outcome) -> Self {
        let end = Snapshot::after(record);
        let exercise = &record.exercise;
        Self {
            outcome: outcome.clone(),
            asks: exercise.asks.clone(),
            explain: if record.judged.is_none() { exercise.explain.clone() } else { String::new() },
            plan: record.plan.clone(),
            ports: record.ports.clone(),
            programs: exercise.programs.clone(),
            conversations: end.ports.values().flat_map(|port| end.talks(*port)).collect(),
            more_conversations: 0,
            origin: record.origin.clone(),
            judged: record.judged.clone(),
            focus: Focus::of(exercise, &record.roles, &record.ports),
            timeline: record.timeline.for_people(),
        }
    }
}

impl Evidence {
    /// Returns a teller at the beginning of the run.
    pub fn teller(&self) -> Teller {
        Teller::new(&self.plan, Snapshot::new(&self.plan, &self.ports), self.focus.clone())
    }

    /// The hints that a report gives for a check: none for a user's own program, since the user asks for them.
    pub(crate) fn hints<'c>(&self, check: &'c CheckResult) -> &'c [String] {
        if self.judged.is_none() && check.verdict != Verdict::Pass { &check.hints } else { &[] }
    }
}

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A page with the ladder diagram, in one file that needs no network.
    #[default]
    Html,
    /// The verdicts with what carries each, as `netlab exercise --json` has them and with evidence and hints.
    Json,
    /// The verdicts and the run as text.
    Markdown,
    /// The verdicts as test cases.
    Junit,
}

impl Format {
    /// Renders the report of a run in this format, with as much of the run as people can read.
    pub fn render(self, evidence: &Evidence) -> Result<String> {
        match self {
            Self::Html => fold::fitting(evidence, |evidence| Ok(html::render(evidence))),
            Self::Markdown => fold::fitting(evidence, |evidence| Ok(markdown::render(evidence))),
            Self::Junit => Ok(junit::render(evidence)),
            Self::Json => Ok(in_json(&evidence.outcome)? + "\n"),
        }
    }
}

fn in_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).or_lab(|| "cannot put the evidence in words")
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(n: &usize) -> bool {
    *n == 0
}

/// Judges a run, and writes its evidence and its report to the run's folder.
pub fn conclude(record: &Record, folder: &Folder) -> Result<Outcome> {
    let outcome = judge::judge(&record.exercise, record, folder.artifacts());
    write(&Evidence::new(record, &outcome), folder)?;
    Ok(outcome)
}

/// Writes the evidence and the report to the run's folder.
pub fn write(evidence: &Evidence, folder: &Folder) -> Result<()> {
    let files = &evidence.outcome.artifacts;
    let report = Format::default().render(evidence)?;
    let evidence = fold::fitting(evidence, in_json)?;
    for (path, text) in [(&files.evidence, evidence), (&files.report, report)] {
        folder.write(path, text.as_bytes())?;
    }
    Ok(())
}

/// Writes a report to the place that the user asked for.
pub fn save(file: &Path, text: &str) -> Result<()> {
    own::write_whole(file, text.as_bytes()).or_file(|| format!("cannot write {}", file.display()))
}

/// Reads a run's evidence, from its folder or from the file itself. The run's other files are expected next to
/// the evidence, wherever the folder was when they were written.
pub fn read(path: &Path) -> Result<Evidence> {
    let file = if path.is_dir() { path.join(Artifacts::EVIDENCE) } else { path.to_owned() };
    let hint = "a run's folder holds evidence.json; `netlab exercise` makes one";
    let text = own::read_anybodys(&file, MOST_READ)
        .map_err(|e| Error::usage(format!("cannot read {}", file.display())).caused_by(e).hint(hint))?;
    let mut evidence: Evidence = serde_json::from_slice(&text).map_err(|e| {
        Error::usage(format!("{} is not a run's evidence", file.display())).caused_by(e).hint(hint)
    })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let files = &mut evidence.outcome.artifacts;
    files.capture = folder.join(files.capture.file_name().unwrap_or_default());
    files.report = folder.join("report.html");
    files.evidence = file;
    Ok(evidence)
}

/// Evidence from an earlier netlab may be long, but anything longer than this is not evidence.
const MOST_READ: u64 = 256 << 20;
