//! `netlab check`: judges the user's own programs by sections of the assignment.

mod show;
mod watch;

use std::{
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use netlab::{
    Error,
    check::{self, Report, Request},
    exercise,
    printable::visible,
    runtime::{LabState, Runtime},
    workspace::{self, MANIFEST, Manifest},
};

use self::{show::Show, watch::Watch};
use super::{
    exec::say_what_was_met,
    exercise::origin,
    lab::{LabArgs, block_on, interrupted},
    up,
};
use crate::ui;

/// Judge your own server by a section of the assignment, or by all of them.
///
/// In a workspace (`netlab init` makes one) the programs and how to compile them come from its
/// netlab.yaml. In every command, {port} stands for the port to listen on, and {server} for the
/// server's host; hosts see the workspace as /lab. With no lab up, one is started first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which section, e.g. 5, or `all`.
    section: String,
    /// Your server, as "/lab/TCPEchod {port}".
    #[arg(long, value_name = "CMD")]
    server: Option<String>,
    /// Your client, as "/lab/TCPEcho {server} {port}".
    #[arg(long, value_name = "CMD")]
    client: Option<String>,
    /// A second version of the program that the section needs, e.g. without_reaper="/lab/TCPEchod-2 {port}".
    #[arg(long, value_name = "NAME=CMD", value_parser = named)]
    build: Vec<(String, String)>,
    /// Give a hint for each check that failed; give it twice for a second hint.
    #[arg(long, action = clap::ArgAction::Count)]
    hint: u8,
    /// Check again whenever a file of the workspace changes.
    #[arg(long)]
    watch: bool,
    /// Print JSON: {"verdict","build","sections":[{"exercise","title","verdict","checks":[…],"runs":[…]}],"page"}.
    #[arg(long)]
    json: bool,
    /// A folder with your own exercises; a file with the name of a built-in exercise replaces it.
    #[arg(long, value_name = "DIR", env = "NETLAB_EXERCISES")]
    exercises: Option<PathBuf>,
    /// Where the runs' folders go.
    #[arg(long, value_name = "DIR", default_value = "captures")]
    captures: PathBuf,
    #[command(flatten)]
    lab: LabArgs,
}

/// How long compiling may take.
const BUILD_WITHIN: Duration = Duration::from_mins(1);

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let workspace = workspace::find(Path::new("."));
        let mut request = self.request(workspace.as_deref())?;
        block_on(async {
            let (runtime, lab) = up::ensure(&self.lab, None, up::Say::OnlyWork).await?;
            if let Some(folder) = &workspace {
                workspace::expect_mounted(&lab.plan, folder)?;
            }
            let mut stop = pin!(interrupted());
            if !self.watch {
                let report = self.check(&request, runtime.as_ref(), &lab, stop).await?;
                return Ok(report.verdict.exit_code().into());
            }
            let folder = workspace.as_deref().ok_or_else(|| {
                Error::usage("nothing to watch: no workspace here").hint("`netlab init DIR` makes one")
            })?;
            let mut watch = Watch::new(folder, &self.captures, request.build.is_some())?;
            loop {
                self.check(&request, runtime.as_ref(), &lab, stop.as_mut()).await?;
                eprintln!("\nwaiting for a change in {} (^C ends this)", folder.display());
                tokio::select! {
                    changed = watch.changed() => eprintln!("{} has changed\n", visible(&changed?.to_string_lossy())),
                    () = stop.as_mut() => return Err(Error::interrupted().into()),
                }
                match self.request(Some(folder)) {
                    Ok(changed) => request = changed,
                    // Half written, or wrong: the next change may fix it.
                    Err(error) => drop(ui::fail(&error.into())),
                }
            }
        })
    }

    /// What the arguments ask for; the workspace supplies the rest.
    fn request(&self, workspace: Option<&Path>) -> netlab::Result<Request> {
        let manifest = workspace.map(Manifest::read).transpose()?.unwrap_or_default();
        let mut programs = manifest.programs();
        let given = [("server", &self.server), ("client", &self.client)];
        let given = given.into_iter().filter_map(|(name, command)| Some((name.to_owned(), command.clone()?)));
        programs.extend(given.chain(self.build.iter().cloned()));
        if programs.is_empty() {
            return Err(Error::usage("no program to check")
                .hint(format!("give --server, or work in a folder with a {MANIFEST}: `netlab init DIR`")));
        }
        let sections = match self.section.as_str() {
            "all" => exercise::all(self.exercises.as_deref())?,
            id => vec![exercise::find(id, self.exercises.as_deref())?],
        };
        check::expect_known(&programs, &sections)?;
        Ok(Request {
            build: manifest.build,
            build_within: BUILD_WITHIN,
            programs,
            sections,
            captures: self.captures.clone(),
            origin: origin(),
        })
    }

    async fn check(
        &self,
        request: &Request,
        runtime: &dyn Runtime,
        lab: &LabState,
        stop: impl Future<Output = ()>,
    ) -> Result<Report> {
        let show = Show { json: self.json, hints: usize::from(self.hint) };
        let met = runtime.limits_reached(&lab.plan).await;
        let report = check::run(request, runtime, lab, stop, &mut |news| show.news(&news)).await;
        say_what_was_met(runtime, &lab.plan, &met).await;
        let mut report = report?;
        if report.sections.len() > 1 {
            report.page = Some(check::page::write(&report, &request.origin, &self.captures)?);
        }
        show.report(&report)?;
        Ok(report)
    }
}

/// Parses `NAME=CMD`.
fn named(text: &str) -> Result<(String, String), String> {
    let (name, command) =
        text.split_once('=').ok_or("expected NAME=CMD, e.g. without_reaper=\"./x {port}\"")?;
    Ok((name.to_owned(), command.to_owned()))
}
