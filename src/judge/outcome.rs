//! The outcome of a whole run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    snapshot::Snapshot,
    submitted::Borrowed,
    verdict::{Asked, CheckResult, Verdict},
};
use crate::{
    exercise::model::{Check, Exercise},
    record::Record,
    runtime::RuntimeKind,
    timeline::What,
};

/// The outcome of an exercise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The exercise's id.
    pub exercise: String,
    /// Its title.
    pub title: String,
    /// The runtime it ran on.
    pub runtime: RuntimeKind,
    /// The verdict of all checks together.
    pub verdict: Verdict,
    /// The result of each check.
    pub checks: Vec<CheckResult>,
    /// The user's programs that turned out to be copies of netlab's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "netlabs")]
    pub reference_programs: Vec<String>,
    /// The files that listened as one of the user's programs but are not from the workspace, each with the exercise's
    /// name for the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "foreign")]
    pub outside_workspace: Vec<(String, String)>,
    /// The programs of netlab or the system that did the work of one of the user's programs, e.g. `socat`, each with
    /// the exercise's name for the user's program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borrowed: Vec<(String, String)>,
    /// Whether anything that could not be decided is the fault of the user's programs: one of them ended early, or
    /// reached a limit. True if nothing broke the run.
    #[serde(skip)]
    pub own_fault: bool,
    /// The files with the rest.
    pub artifacts: Artifacts,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// The files that a run leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Artifacts {
    /// The packets, as pcapng.
    #[serde(serialize_with = "crate::paths::as_text")]
    pub capture: PathBuf,
    /// The record: everything done and seen, as JSON.
    #[serde(serialize_with = "crate::paths::as_text")]
    pub evidence: PathBuf,
    /// The same as a report for people.
    #[serde(serialize_with = "crate::paths::as_text")]
    pub report: PathBuf,
}

impl Artifacts {
    /// The name of the file with the evidence.
    pub const EVIDENCE: &str = "evidence.json";

    /// The files of a run in its folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            capture: folder.join("capture.pcapng"),
            evidence: folder.join(Self::EVIDENCE),
            report: folder.join("report.html"),
        }
    }
}

/// Judges a run by the checks of an exercise: the one that was run, or a later version of it.
pub fn judge(exercise: &Exercise, record: &Record, artifacts: Artifacts) -> Outcome {
    let mut moments = Moments::of(record, exercise);
    let checks: Vec<CheckResult> =
        exercise.checks.iter().map(|check| moments.judge(check, record, &artifacts)).collect();
    let end = &moments.end;
    let own = || record.programs.keys();
    let ending = &record.ending;
    Outcome {
        exercise: exercise.id.clone(),
        title: exercise.title.clone(),
        runtime: record.runtime,
        verdict: Verdict::of_all(checks.iter().map(|c| c.verdict)),
        reference_programs: borrowed(end, own(), |b| b.reference_program.clone())
            .into_iter()
            .map(|(name, _)| name)
            .collect(),
        outside_workspace: borrowed(end, own(), |b| b.listener.clone()),
        borrowed: borrowed(end, own(), Borrowed::name),
        checks,
        own_fault: ending.broken.is_none() || ending.by_program || ending.excess.is_some(),
        artifacts,
        elapsed_ms: record.elapsed_ms,
    }
}

/// The moments of a run that checks ask about.
struct Moments {
    looks: Vec<Look>,
    end: Snapshot,
}

/// A look that some check asks about.
struct Look {
    name: String,
    snapshot: Snapshot,
    /// The number of events up to it.
    events: usize,
}

impl Moments {
    /// Follows the run from its beginning, and keeps the moments that some check asks about.
    fn of(record: &Record, exercise: &Exercise) -> Self {
        let is_asked = |name: &String| exercise.checks.iter().any(|check| check.at.as_ref() == Some(name));
        let (mut end, mut looks) = (Snapshot::before(record), Vec::new());
        for (n, event) in record.timeline.events().iter().enumerate() {
            end.apply(event);
            if let What::Look { name } = &event.what
                && is_asked(name)
            {
                looks.push(Look { name: name.clone(), snapshot: end.clone(), events: n + 1 });
            }
        }
        Self { looks, end }
    }

    fn judge(&mut self, check: &Check, record: &Record, artifacts: &Artifacts) -> CheckResult {
        let ending = &record.ending;
        let broken = match (&ending.broken, &ending.excess) {
            (Some(broken), Some(excess)) => Some(format!("{excess}; {broken}")),
            (broken, _) => broken.clone(),
        };
        let all = record.timeline.events();
        let asked =
            |snapshot, events| Asked { snapshot, events, lab: &record.plan.lab, capture: &artifacts.capture };
        let moment = match &check.at {
            None => broken.as_deref().map_or(Ok(asked(&self.end, all)), Err),
            Some(name) => {
                let look = self.looks.iter().rev().find(|look| look.name == *name);
                look.map(|look| asked(&look.snapshot, &all[..look.events]))
                    .ok_or(broken.as_deref().unwrap_or("the exercise took no look by that name"))
            }
        };
        let result = match moment {
            Ok(Asked { snapshot, .. }) => {
                CheckResult::of(check, moment).at(check, snapshot, &record.timeline)
            }
            Err(_) => CheckResult::of(check, moment),
        };
        result.doubted(ending.disturbed.as_deref().filter(|_| ending.excess.is_none()))
    }
}

/// Asks what each of these programs has borrowed. Returns the answers with the programs' names.
fn borrowed<'n>(
    end: &Snapshot,
    names: impl Iterator<Item = &'n String>,
    ask: impl Fn(&Borrowed) -> Option<String>,
) -> Vec<(String, String)> {
    let of = |name: &String| ask(&end.programs.get(name)?.borrowed);
    names.filter_map(|name| Some((name.clone(), of(name)?))).collect()
}
