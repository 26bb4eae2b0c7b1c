//! Replays one submission in a lab of its own, which is taken down afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use indexmap::IndexMap;
use tokio::time::{Instant, sleep_until, timeout};

use super::SectionResult;
use crate::{
    Error, Kind, Result,
    check::{self, Build, Progress, Report, Request},
    class::{
        course::{Course, Rule},
        submission::Sources,
    },
    error::FileContext,
    exercise::Origin,
    judge::Verdict,
    observer::Session,
    own,
    printable::{printable, shortened, visible},
    runtime::{self, LabState, Lack, Runtime, Step},
    timeline::{Event, What},
    topology::{Mount, Topology},
    workspace::{self, Manifest},
    yaml::Document,
};

/// How long a lab may take to finish when its time is up. It can be slow to observe if its hosts are short of
/// everything.
const GRACE: Duration = Duration::from_secs(15);

/// A submission to replay.
pub struct Replay {
    pub course: Arc<Course>,
    pub runtime: Arc<dyn Runtime>,
    pub sources: Arc<Sources>,
    pub manifest: Manifest,
    /// The folder for its reports and captures.
    pub folder: PathBuf,
    pub key: String,
}

/// The outcome of an attempt.
pub enum Attempt {
    /// The submission was judged.
    Judged(AttemptReport),
    /// The lab was lost while it ran: there is no result.
    Lost(Error),
    /// There was no lab: there is no result.
    Broke(Error),
}

/// The result of an attempt.
#[derive(Default)]
pub struct AttemptReport {
    pub sections: Vec<SectionResult>,
    /// Why the programs could not be judged, if they did not compile.
    pub unbuilt: Option<BuildFailure>,
    /// Why not everything was judged, if the program was still running when its time was up.
    pub ran_out: Option<String>,
    /// Whether some check has no verdict that another attempt may give.
    unclear: bool,
    /// Whether any of the submission's own programs has run in the current section.
    has_run: bool,
}

/// Programs that did not compile.
pub struct BuildFailure {
    /// How it failed, in one line.
    pub how: String,
    /// The compiler's output, for a page.
    pub words: String,
}

impl BuildFailure {
    fn of(build: &Build) -> Option<Self> {
        let how = format!("{DID_NOT_COMPILE}: {}", build.how_it_failed()?);
        let words = printable(build.output.trim_end());
        Some(Self {
            how: shortened(&visible(&how), MOST_HOW).into_owned(),
            words: shortened(&words, MOST_WORDS).into_owned(),
        })
    }
}

/// What every check says if the programs did not compile.
const DID_NOT_COMPILE: &str = "did not compile";
/// Maximum length of the command shown, in characters: a command may be of any length.
const MOST_HOW: usize = 400;
/// Maximum length of a compiler's output, in characters: no grader reads more.
const MOST_WORDS: usize = 8 << 10;

impl Replay {
    /// Judges the submission. An error here would affect every submission.
    ///
    /// If an attempt leaves something unclear, that may be the program's fault or the lab's: a second lab decides,
    /// unless it was clearly the program's.
    pub async fn run(&self, lab: &str) -> Result<Attempt> {
        let first = self.attempt(lab).await?;
        if matches!(&first, Attempt::Judged(AttemptReport { unclear: false, .. })) {
            return Ok(first);
        }
        Ok(match (first, self.attempt(lab).await?) {
            // A single loss may be chance.
            (Attempt::Judged(_) | Attempt::Broke(_), Attempt::Lost(error)) => Attempt::Broke(error),
            (_, second) => second,
        })
    }

    async fn attempt(&self, lab: &str) -> Result<Attempt> {
        let cleared = match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => own::make_private(&self.folder),
        };
        cleared.or_file(|| format!("cannot clear {}", self.folder.display()))?;
        let tried = match self.build(lab).await {
            // Nothing would limit the program, so it is not run.
            Ok(Some(unlimited)) => Err(unlimited),
            Ok(None) => Ok(self.held(lab).await),
            Err(error) => Ok(Attempt::Broke(error)),
        };
        let down = self.runtime.down(lab).await;
        Ok(match (tried?, down) {
            (Attempt::Judged(_), Err(error)) => Attempt::Broke(error),
            (tried, _) => tried,
        })
    }

    /// Judges within the time limit. What was judged until then counts even if the lab can no longer be observed,
    /// e.g. because a program uses all of its resources.
    async fn held(&self, lab: &str) -> Attempt {
        let mut report = AttemptReport::default();
        match timeout(self.course.within + GRACE, self.judge(lab, &mut report)).await {
            Ok(Ok(())) => Attempt::Judged(report),
            Ok(Err(error)) => Attempt::Lost(error),
            Err(_) => {
                self.run_out(&mut report);
                Attempt::Judged(report)
            }
        }
    }

    /// Brings the lab up. Returns an error inside `Ok` if the lab lacks a limit.
    async fn build(&self, lab: &str) -> Result<Option<Error>> {
        // A grading that was killed may have left one.
        self.runtime.down(lab).await?;
        let unlimited = Mutex::new(None);
        let tell = |step: Step| {
            if step.lacks == Some(Lack::Limit)
                && let Ok(mut unlimited) = unlimited.lock()
            {
                unlimited.get_or_insert(step.what);
            }
        };
        runtime::build(self.runtime.as_ref(), &self.topology()?, lab, &tell).await?;
        Ok(unlimited.into_inner().unwrap_or_default().map(|what| {
            Error::lab(what).hint(
                "nothing would stop a program that uses up the machine: grade as root, or with --runtime docker",
            )
        }))
    }

    fn topology(&self) -> Result<Topology> {
        let clients = self.course.sections.iter().map(|rule| rule.template.exercise.clients).max();
        let hosts = format!(
            "hosts: {{server: {{role: server}}, client: {{role: client, count: {}}}}}",
            clients.unwrap_or(1).max(1)
        );
        let document = Document::parse("lab.yaml", hosts.as_bytes())?;
        let mut topology = Topology::from_document(document, Path::new(""))?;
        topology.limit(&self.course.limits);
        topology.distrust();
        topology.mount(&Mount {
            source: self.sources.path().to_owned(),
            target: workspace::ON_HOSTS.into(),
            read_only: false,
            copy: self.course.limits.disk,
        });
        Ok(topology)
    }

    async fn judge(&self, lab: &str, report: &mut AttemptReport) -> Result<()> {
        let state = self.whole(lab).await?;
        let deadline = Instant::now() + self.course.within;
        // Only the first section builds.
        let mut build = self.manifest.build.clone();
        for rule in &self.course.sections {
            if report.unbuilt.is_some() {
                report.sections.push(SectionResult::unknown(rule, DID_NOT_COMPILE));
                continue;
            }
            let request = self.request(rule, build.take());
            report.has_run = false;
            let has_run = &mut report.has_run;
            let mut tell = |news: Progress<'_>| *has_run |= is_theirs(&news);
            let checked =
                check::run(&request, self.runtime.as_ref(), &state, sleep_until(deadline), &mut tell).await;
            let checked = match checked {
                Err(error) if error.kind == Kind::Interrupted => {
                    self.run_out(report);
                    break;
                }
                checked => checked?,
            };
            report.unbuilt = checked.build.as_ref().and_then(BuildFailure::of);
            report.unclear |= report.unbuilt.is_none() && is_unclear(&checked);
            report.sections.push(self.judged(rule, &checked, report.unbuilt.is_some()));
        }
        // The results of a lab that has lost a host, or that cannot be observed, count for nothing.
        let state = self.whole(lab).await?;
        Session::open(self.runtime.as_ref(), &state.plan.lab).await.map(drop)
    }

    /// Ends the attempt when the time for all sections is up: those not yet judged get no marks.
    fn run_out(&self, report: &mut AttemptReport) {
        let most = self.course.within.as_secs();
        let why = format!("your program was still running when the {most} s for all sections were up");
        let judged = report.sections.len();
        for rule in &self.course.sections[judged..] {
            report.sections.push(SectionResult::unknown(rule, &why));
        }
        if report.sections.len() > judged {
            report.ran_out = Some(why);
        }
        // If none of the submission's programs was running, the lab or the machine was slow.
        report.unclear |= !report.has_run;
    }

    fn request(&self, rule: &Rule, build: Option<String>) -> Request {
        Request {
            build,
            build_within: self.course.build_within,
            programs: self.programs(),
            sections: vec![rule.template.clone()],
            captures: self.folder.clone(),
            origin: Origin { by: Some(self.key.clone()), command: None },
        }
    }

    fn judged(&self, rule: &Rule, report: &Report, unbuilt: bool) -> SectionResult {
        if unbuilt {
            return SectionResult::unknown(rule, DID_NOT_COMPILE);
        }
        SectionResult::of(rule, report.sections.first(), &self.folder, self.course.borrowed)
    }

    /// Returns the submission's programs that count.
    fn programs(&self) -> IndexMap<String, String> {
        let mut programs = self.manifest.programs();
        programs.retain(|name, _| self.course.programs.contains(name));
        programs
    }

    async fn whole(&self, lab: &str) -> Result<LabState> {
        let state = self.runtime.lab(lab).await?;
        let state = state.filter(LabState::is_whole);
        state.ok_or_else(|| Error::lab(format!("{}'s lab has lost a host", self.key)))
    }
}

/// Returns whether a program of the submission starts with this event.
fn is_theirs(news: &Progress<'_>) -> bool {
    matches!(news, Progress::Building(_) | Progress::Event(_, Event { what: What::Started { .. }, .. }))
}

/// Returns whether some check has no verdict. If that is known to be the program's fault, another lab would not help.
fn is_unclear(report: &Report) -> bool {
    let unclear = report.sections.iter().filter(|section| section.borrowed.is_empty() && !section.own_fault);
    unclear.flat_map(|section| &section.checks).any(|check| check.verdict == Verdict::Error)
}
