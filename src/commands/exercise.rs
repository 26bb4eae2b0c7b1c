//! `netlab exercise`: runs a section of the assignment on a lab, and shows what it proves.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
};

use anyhow::Result;
use async_trait::async_trait;
use netlab::{
    aside, commandline,
    exercise::{self, Options, Origin, Template},
    judge::{CheckResult, Outcome, Verdict},
    printable::{printable, visible},
    record::Record,
    report::{self, Narrator, Style, teller::wording},
    run::{self, Folder, Watcher},
    runtime::{LabState, Runtime},
    timeline::Event,
};
use serde_json::json;

use super::{
    exec::say_what_was_met,
    lab::{LabArgs, block_on, interrupted},
    up,
};
use crate::ui;

/// Run a section of the assignment, and prove its facts from packets, sockets and processes.
///
/// Without a number, list the sections. With no lab up, one is started first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which section, e.g. 2; `all` runs every one and ends with a table.
    exercise: Option<String>,
    /// The server's port; without it the exercise's own, or the next one that is free.
    #[arg(long)]
    port: Option<u16>,
    /// Wait for the Enter key before each step, to look around and predict what it will show.
    #[arg(long, conflicts_with = "json")]
    step: bool,
    /// Also print the answer to the section's question, and the evidence for it.
    #[arg(long)]
    explain: bool,
    /// Show everything: all rows of all tables at each look, including clients that behave like earlier ones.
    #[arg(short, long, conflicts_with = "json")]
    verbose: bool,
    /// A folder with your own exercises; a file with the name of a built-in exercise replaces it.
    #[arg(long, value_name = "DIR", env = "NETLAB_EXERCISES")]
    exercises: Option<PathBuf>,
    /// Where the run's folder goes.
    #[arg(long, value_name = "DIR", default_value = "captures")]
    captures: PathBuf,
    /// Print one JSON object on stdout and nothing else there.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
}

/// A person watching a run at a terminal.
struct Terminal {
    narrator: Option<Narrator>,
    verbose: bool,
    /// Whether to print nothing.
    quiet: bool,
    /// Whether each step waits for the Enter key.
    steps: bool,
}

#[async_trait]
impl Watcher for Terminal {
    fn event(&mut self, record: &Record, event: &Event) {
        let verbose = self.verbose;
        let narrator = self.narrator.get_or_insert_with(|| Narrator::live(record, style(), verbose));
        if !self.quiet
            && let Some(text) = narrator.tell(event)
        {
            println!("{text}");
        }
    }

    fn pauses(&self) -> bool {
        self.steps
    }

    async fn pause(&mut self) {
        eprint!("   [Enter: next step · ^D: run to the end · ^C: stop] ");
        let key = aside(|| std::io::stdin().read_line(&mut String::new()));
        // At the end of input there is nobody to press a key.
        self.steps = !matches!(key.await, Ok(Ok(0)));
    }
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let folder = self.exercises.as_deref();
        let templates = match self.exercise.as_deref() {
            None => return self.list(),
            Some("all") => exercise::all(folder)?,
            Some(id) => vec![exercise::find(id, folder)?],
        };
        block_on(async {
            let (runtime, lab) = up::ensure(&self.lab, None, up::Say::OnlyWork).await?;
            let met = runtime.limits_reached(&lab.plan).await;
            let mut stop = pin!(interrupted());
            let mut outcomes = Vec::new();
            let mut broke = None;
            for template in &templates {
                match self.perform(template, runtime.as_ref(), &lab, stop.as_mut()).await {
                    Ok(outcome) => {
                        if !self.json {
                            sum_up(&template.exercise.explain, &outcome, self.explain, 1);
                        }
                        outcomes.push(outcome);
                    }
                    Err(error) => {
                        broke = Some(error);
                        break;
                    }
                }
            }
            let verdict = match broke {
                None => Verdict::of_all(outcomes.iter().map(|o| o.verdict)),
                Some(_) => Verdict::Error,
            };
            match outcomes.as_slice() {
                _ if templates.len() > 1 => self.conclude(verdict, &outcomes),
                [outcome] if self.json => println!("{}", to_json(outcome)),
                _ => {}
            }
            say_what_was_met(runtime.as_ref(), &lab.plan, &met).await;
            broke.map_or(Ok(ExitCode::from(verdict.exit_code())), Err)
        })
    }

    /// Concludes several exercises, or as many as ran before the lab broke.
    fn conclude(&self, verdict: Verdict, outcomes: &[Outcome]) {
        if self.json {
            let all: Vec<_> = outcomes.iter().map(to_json).collect();
            println!("{}", json!({"verdict": verdict, "exercises": all}));
        } else {
            tabulate(outcomes);
        }
    }

    async fn perform(
        &self,
        template: &Template,
        runtime: &dyn Runtime,
        lab: &LabState,
        stop: impl Future<Output = ()>,
    ) -> Result<Outcome> {
        let folder = Folder::create(&self.captures, &template.exercise.id)?;
        let options = Options { port: self.port, origin: origin(), ..Options::default() };
        if !self.json {
            println!(
                "Exercise {}: {}\n\n{}",
                visible(&template.exercise.id),
                visible(&template.exercise.title),
                printable(&template.exercise.asks)
            );
        }
        let mut terminal =
            Terminal { narrator: None, verbose: self.verbose, quiet: self.json, steps: self.step };
        let record = run::run(template, runtime, lab, &options, &folder, stop, &mut terminal).await?;
        if let Some(text) = terminal.narrator.as_mut().and_then(Narrator::finish).filter(|_| !self.json) {
            println!("{text}");
        }
        Ok(report::conclude(&record, &folder)?)
    }

    fn list(&self) -> Result<ExitCode> {
        let all = exercise::all(self.exercises.as_deref())?;
        if self.json {
            let rows: Vec<_> = all
                .iter()
                .map(|t| json!({"exercise": t.exercise.id, "title": t.exercise.title, "asks": t.exercise.asks}))
                .collect();
            println!("{}", json!(rows));
            return Ok(ExitCode::SUCCESS);
        }
        for Template { exercise, .. } in &all {
            println!("{:<10} {}", visible(&exercise.id), style().paint("1", &visible(&exercise.title)));
            println!("           {}", visible(&exercise.asks));
        }
        println!("\n`netlab exercise ID` runs one.");
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints each check's verdict and, with the answer, the evidence for those that passed.
///
/// For each check that failed, gives the first `hints` hints.
pub(super) fn sum_up(answer: &str, outcome: &Outcome, explain: bool, hints: usize) {
    println!();
    for check in &outcome.checks {
        println!("{} {}: {}", mark(check.verdict), visible(&check.id), visible(&check.expected));
        if check.verdict != Verdict::Pass || explain {
            print!("{}", evidence(check));
        }
        for hint in check.hints.iter().take(hints).filter(|_| check.verdict != Verdict::Pass) {
            println!("      {} {}", style().paint("36", "hint:"), visible(hint));
        }
    }
    if explain {
        println!("\n{}", printable(answer));
    }
    println!(
        "\n{} exercise {} on {} in {} ms\nreport: {}\ncapture: {}",
        mark(outcome.verdict),
        outcome.exercise,
        outcome.runtime,
        outcome.elapsed_ms,
        visible(&outcome.artifacts.report.to_string_lossy()),
        visible(&outcome.artifacts.capture.to_string_lossy())
    );
}

/// The format that graders rely on: evidence rows and hints are in the evidence file.
pub(super) fn to_json(outcome: &Outcome) -> serde_json::Value {
    let absolute = |path: &Path| {
        std::path::absolute(path).unwrap_or_else(|_| path.into()).to_string_lossy().into_owned()
    };
    let checks = outcome
        .checks
        .iter()
        .map(|c| json!({"id": c.id, "verdict": c.verdict, "expected": c.expected, "observed": c.observed}));
    json!({
        "exercise": outcome.exercise,
        "title": outcome.title,
        "runtime": outcome.runtime,
        "verdict": outcome.verdict,
        "checks": checks.collect::<Vec<_>>(),
        "artifacts": {
            "capture": absolute(&outcome.artifacts.capture),
            "evidence": absolute(&outcome.artifacts.evidence),
            "report": absolute(&outcome.artifacts.report),
        },
        "elapsed_ms": outcome.elapsed_ms,
    })
}

/// Prints one row per exercise.
fn tabulate(outcomes: &[Outcome]) {
    let rows = outcomes.iter().map(|o| {
        let passed = o.checks.iter().filter(|c| c.verdict == Verdict::Pass).count();
        [
            o.exercise.clone(),
            o.verdict.to_string(),
            format!("{passed} of {}", o.checks.len()),
            format!("{} ms", o.elapsed_ms),
            o.title.clone(),
        ]
    });
    print!("\n{}", ui::table(["exercise", "verdict", "checks", "took", "about"], rows));
}

pub(super) fn style() -> Style {
    if ui::colour(&std::io::stdout()) { Style::Colour } else { Style::Plain }
}

/// Maximum number of evidence rows shown here; the report has them all.
const ROWS: usize = 12;

/// Whose run it is: the user, and the command line as it was typed.
pub(super) fn origin() -> Origin {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = named.filter(|user| !user.is_empty()).or_else(user_of_this_machine);
    let words = std::env::args_os().skip(1).map(|argument| commandline::word(&argument.to_string_lossy()));
    let line: Vec<String> = ["netlab".to_owned()].into_iter().chain(words).collect();
    Origin { by: user, command: Some(line.join(" ")) }
}

/// The user's name, from passwd(5).
fn user_of_this_machine() -> Option<String> {
    let uid = nix::unistd::getuid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let user = users.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    user.split(':').next().map(str::to_owned)
}

/// What was observed, the rows, packets or lines that show it, and where in the run to look.
pub(super) fn evidence(check: &CheckResult) -> String {
    let mut text = format!("      observed: {}\n", printable(&check.observed).replace('\n', "\n      "));
    for row in check.evidence.iter().take(ROWS) {
        text += &format!("        {}\n", visible(row));
    }
    if check.evidence.len() > ROWS {
        text += &format!("        … and {} more\n", check.evidence.len() - ROWS);
    }
    if let Some(moment) = check.moment.as_ref().filter(|_| check.verdict != Verdict::Pass) {
        let places: Vec<String> =
            wording::places(moment).into_iter().map(|place| place.to_string()).collect();
        text += &format!("      in the report: {}\n", places.join(", "));
    }
    text
}

pub(super) fn mark(verdict: Verdict) -> String {
    let sgr = match verdict {
        Verdict::Pass => "32;1",
        Verdict::Fail => "31;1",
        Verdict::Error => "33;1",
    };
    style().paint(sgr, &format!("{verdict:5}"))
}
