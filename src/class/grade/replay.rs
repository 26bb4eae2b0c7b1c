//! One submission in a lab of its own, which nobody else uses and which goes away with it.

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
    printable::{printable, visible},
    runtime::{self, LabState, Lack, Runtime, Step},
    timeline::{Event, What},
    topology::{Mount, Topology},
    workspace::{self, Manifest},
    yaml::Document,
};

/// How long a lab may take to come to an end when its time is over. One whose hosts are short of
/// everything can be slow to look at.
const GRACE: Duration = Duration::from_secs(15);

/// A submission to replay.
pub struct Replay {
    pub course: Arc<Course>,
    pub runtime: Arc<dyn Runtime>,
    pub sources: Arc<Sources>,
    pub manifest: Manifest,
    /// Where what it leaves goes.
    pub folder: PathBuf,
    pub key: String,
}

/// What came of an attempt.
pub enum Attempt {
    /// The lab told this.
    AttemptReport(AttemptReport),
    /// The lab was lost while it ran: nothing is known.
    Lost(Error),
    /// There was no lab: nothing is known.
    Broke(Error),
}

/// What a lab told.
#[derive(Default)]
pub struct AttemptReport {
    pub sections: Vec<SectionResult>,
    /// Why the programs could not be judged, if they did not compile.
    pub unbuilt: Option<BuildFailure>,
    /// Why not all was judged, if the program was not done when its time was over.
    pub ran_out: Option<String>,
    /// Whether something was not told, and another attempt may tell it.
    unclear: bool,
    /// Whether something of the submission's own has been under way in the section that is judged.
    has_run: bool,
}

/// Programs that did not compile.
pub struct BuildFailure {
    /// In one line.
    pub how: String,
    /// What the compiler said, for a page.
    pub words: String,
}

impl BuildFailure {
    fn of(build: &Build) -> Option<Self> {
        let how = format!("{DID_NOT_COMPILE}: {}", build.how_it_failed()?);
        let words = printable(build.output.trim_end());
        Some(Self { how: cut(&visible(&how), MOST_HOW), words: cut(&words, MOST_WORDS) })
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What every check says then.
const DID_NOT_COMPILE: &str = "did not compile";
/// A command may be of any length; so much of it, in characters, is told.
const MOST_HOW: usize = 400;
/// More than this of what a compiler says, in characters, no grader reads.
const MOST_WORDS: usize = 8 << 10;

impl Replay {
    /// Judges the submission. An error would be every submission's.
    ///
    /// What an attempt could not tell may be the program's fault or the lab's: a second lab decides. Where it was
    /// clearly the program's, there is none.
    pub async fn run(&self, lab: &str) -> Result<Attempt> {
        let first = self.attempt(lab).await?;
        if matches!(&first, Attempt::AttemptReport(AttemptReport { unclear: false, .. })) {
            return Ok(first);
        }
        Ok(match (first, self.attempt(lab).await?) {
            // Once may be chance.
            (Attempt::AttemptReport(_) | Attempt::Broke(_), Attempt::Lost(error)) => Attempt::Broke(error),
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
            // Nothing would hold the program: better none is run.
            Ok(Some(unlimited)) => Err(unlimited),
            Ok(None) => Ok(self.held(lab).await),
            Err(error) => Ok(Attempt::Broke(error)),
        };
        let down = self.runtime.down(lab).await;
        Ok(match (tried?, down) {
            (Attempt::AttemptReport(_), Err(error)) => Attempt::Broke(error),
            (tried, _) => tried,
        })
    }

    /// Judges within the time that there is. What was judged until then counts also where the lab cannot be looked
    /// at any more, as when a program has all of it.
    async fn held(&self, lab: &str) -> Attempt {
        let mut told = AttemptReport::default();
        match timeout(self.course.within + GRACE, self.judge(lab, &mut told)).await {
            Ok(Ok(())) => Attempt::AttemptReport(told),
            Ok(Err(error)) => Attempt::Lost(error),
            Err(_) => {
                self.run_out(&mut told);
                Attempt::AttemptReport(told)
            }
        }
    }

    /// Brings the lab up. Gives an error if it lacks a limit.
    async fn build(&self, lab: &str) -> Result<Option<Error>> {
        // Also what a grading that was ended by force has left.
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
                "nothing would stop a program that takes all there is: grade as root, or with --runtime docker",
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

    async fn judge(&self, lab: &str, told: &mut AttemptReport) -> Result<()> {
        let state = self.whole(lab).await?;
        let deadline = Instant::now() + self.course.within;
        // Built once.
        let mut build = self.manifest.build.clone();
        for rule in &self.course.sections {
            if told.unbuilt.is_some() {
                told.sections.push(SectionResult::unknown(rule, DID_NOT_COMPILE));
                continue;
            }
            let request = self.request(rule, build.take());
            told.has_run = false;
            let has_run = &mut told.has_run;
            let mut tell = |news: Progress<'_>| *has_run |= is_theirs(&news);
            let report =
                check::run(&request, self.runtime.as_ref(), &state, sleep_until(deadline), &mut tell).await;
            let report = match report {
                Err(error) if error.kind == Kind::Interrupted => {
                    self.run_out(told);
                    break;
                }
                report => report?,
            };
            told.unbuilt = report.build.as_ref().and_then(BuildFailure::of);
            told.unclear |= told.unbuilt.is_none() && is_unclear(&report);
            told.sections.push(self.judged(rule, &report, told.unbuilt.is_some()));
        }
        // A lab that has lost a host, or that cannot be looked at, has told nothing.
        let state = self.whole(lab).await?;
        Session::open(self.runtime.as_ref(), &state.plan.lab).await.map(drop)
    }

    /// The time of all sections is over: those that were not judged have no marks.
    fn run_out(&self, told: &mut AttemptReport) {
        let most = self.course.within.as_secs();
        let why = format!("your program was still running when its {most} s for all sections were over");
        let judged = told.sections.len();
        for rule in &self.course.sections[judged..] {
            told.sections.push(SectionResult::unknown(rule, &why));
        }
        if told.sections.len() > judged {
            told.ran_out = Some(why);
        }
        // Where nothing of the program's was under way, the lab or the machine was slow.
        told.unclear |= !told.has_run;
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

    /// The submission's programs that count.
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

/// Whether something of the submission's own is under way from now on.
fn is_theirs(news: &Progress<'_>) -> bool {
    matches!(news, Progress::Building(_) | Progress::Event(_, Event { what: What::Started { .. }, .. }))
}

/// Whether something was not told. Where that is known to be the program's fault, another lab tells no more.
fn is_unclear(report: &Report) -> bool {
    let unclear = report.sections.iter().filter(|section| section.borrowed.is_empty() && !section.own_fault);
    unclear.flat_map(|section| &section.checks).any(|check| check.verdict == Verdict::Error)
}
