//! Judges a student's own programs: compiles them on the lab's server host, runs the exercises' checks
//! that concern them, and reports the results.
//!
//! Each program is judged in its own run, beside the lab's own programs, so that a wrong one costs no
//! other its marks.

mod build;
pub mod page;
mod report;

use std::{
    future::Future,
    path::PathBuf,
    pin::pin,
    time::{Duration, Instant},
};

use indexmap::IndexMap;

pub use build::Build;
pub use report::{Report, Section};

use crate::{
    Error, Kind, Result,
    exercise::{self, Options, Origin, Template},
    judge::Outcome,
    record::Record,
    run::Folder,
    runtime::{LabState, Runtime},
    suggest::nearest,
    time::millis,
    timeline::Event,
};

/// What is to be judged.
#[derive(Clone, Debug)]
pub struct Request {
    /// Compiles the programs, in a shell on the server host; unset if there is nothing to compile.
    pub build: Option<String>,
    /// The time limit for compiling.
    pub build_within: Duration,
    /// The student's commands, by the exercises' names for them, e.g. `server`. In each, `{port}` stands
    /// for the port to use and `{server}` for the host that the server runs on.
    pub programs: IndexMap<String, String>,
    /// The sections to judge them by, in this order.
    pub sections: Vec<Template>,
    /// The folder for the runs' folders.
    pub captures: PathBuf,
    /// Whose programs they are, and what judges them.
    pub origin: Origin,
}

/// Progress reported while judging.
#[derive(Debug)]
pub enum Progress<'n> {
    /// The programs are being compiled with this command.
    Building(&'n str),
    /// A section's run with this program begins.
    Section(&'n Template, &'n str),
    /// Something was done or seen in that run.
    Event(&'n Record, &'n Event),
}

/// Judges the programs on a lab that is up and has their files. Stops with an interrupted error when
/// `stop` completes.
///
/// What could not be determined, because the lab broke or a program did not compile, is an `error` in the
/// report, never a failure.
pub async fn run(
    request: &Request,
    runtime: &dyn Runtime,
    lab: &LabState,
    stop: impl Future<Output = ()>,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Report> {
    let started = Instant::now();
    let mut stop = pin!(stop);
    let mut report = Report::default();
    if let Some(command) = &request.build {
        tell(Progress::Building(command));
        let build = tokio::select! {
            build = build::run(command, request.build_within, runtime, lab) => build?,
            () = stop.as_mut() => return Err(Error::interrupted()),
        };
        report.build = Some(build);
    }
    let unbuilt = report.build.as_ref().and_then(Build::why_not);
    for template in &request.sections {
        let mut section = Section::new(&template.exercise);
        for program in template.exercise.judged() {
            let Some(command) = request.programs.get(program) else { continue };
            tell(Progress::Section(template, command));
            let judged = match &unbuilt {
                Some(why) => Err(Error::lab(why)),
                None => judge(template, program, request, runtime, lab, stop.as_mut(), tell).await,
            };
            match judged {
                Ok(outcome) => section.add(outcome),
                Err(error) if matches!(error.kind, Kind::Lab | Kind::Excess) => {
                    section.broke(program, &exercise::in_words(template, &lab.plan), &error);
                }
                Err(error) => return Err(error),
            }
        }
        report.add(section);
    }
    report.elapsed_ms = millis(started.elapsed());
    Ok(report)
}

/// Judges one program by one section.
async fn judge(
    template: &Template,
    program: &str,
    request: &Request,
    runtime: &dyn Runtime,
    lab: &LabState,
    stop: impl Future<Output = ()>,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Outcome> {
    let folder = Folder::create(&request.captures, &template.exercise.id)?;
    let options = Options {
        programs: [(program.to_owned(), request.programs[program].clone())].into(),
        judged: Some(program.to_owned()),
        origin: request.origin.clone(),
        ..Options::default()
    };
    let mut tell = |record: &Record, event: &Event| tell(Progress::Event(record, event));
    let record = crate::run::run(template, runtime, lab, &options, &folder, stop, &mut tell).await?;
    crate::report::conclude(&record, &folder)
}

/// Checks that some exercise judges each program, and that at least one of the sections judges one of
/// them.
pub fn expect_known(programs: &IndexMap<String, String>, sections: &[Template]) -> Result<()> {
    let all = exercise::all(None)?;
    let known: Vec<&str> = all.iter().chain(sections).flat_map(|t| t.exercise.judged()).collect();
    for name in programs.keys() {
        if !known.contains(&name.as_str()) {
            let error = Error::usage(format!("no section judges a program \"{name}\""));
            return Err(match nearest(name, known.iter().copied()) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error,
            });
        }
    }
    let is_given = |name: &str| programs.contains_key(name);
    if sections.iter().any(|t| t.exercise.judged().any(is_given)) {
        return Ok(());
    }
    let judges: Vec<&str> = sections.iter().flat_map(|t| t.exercise.judged()).collect();
    Err(match judges.as_slice() {
        [] => Error::usage("this section judges no program").hint("`netlab exercise` runs it"),
        names => Error::usage(format!("this section judges other programs: {}", names.join(", "))),
    })
}
