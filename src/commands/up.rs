//! `netlab up`: starts a lab.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use netlab::{
    Error,
    report::in_lab,
    runtime::{self, LabState, Runtime},
    topology, workspace,
};

use super::{
    lab::{LabArgs, block_on, interrupted},
    status,
};
use crate::ui;

/// Start a lab: its hosts, and the wire between them.
///
/// In a workspace, the folder of a netlab.yaml or below it, every host sees that folder as /lab.
///
/// A lab by that name that is already up stays as it is. Whatever a broken one left is cleared first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to build; without it, one server and two clients on one segment.
    #[arg(short = 'f', long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Print JSON: {"lab","runtime","hosts":[…],"elapsed_ms"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let started = Instant::now();
        let say = if self.json { Say::Nothing } else { Say::All };
        block_on(async {
            let (runtime, lab) = ensure(&self.lab, self.topology.as_deref(), say).await?;
            status::print(runtime.kind(), &lab, started.elapsed(), self.json)?;
            if !self.json {
                suggest(&lab, &self.lab);
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// How much to say on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    Nothing,
    /// What is done, and nothing where there is nothing to do.
    OnlyWork,
    All,
}

/// The lab, started if it is not up.
pub async fn ensure(
    args: &LabArgs,
    file: Option<&std::path::Path>,
    say: Say,
) -> Result<(Box<dyn Runtime>, LabState)> {
    topology::check_lab_name(&args.lab)?;
    let mut topology = topology::load(file)?;
    if let Some(folder) = workspace::find(std::path::Path::new(".")) {
        workspace::mount(&mut topology, &folder)?;
    }
    if let Some((runtime, lab)) = runtime::find(&args.lab, args.kind()).await? {
        if lab.is_whole() {
            if say == Say::All {
                let file = file.map_or(String::new(), |file| {
                    format!(", as it was built: {} is not looked at", file.display())
                });
                eprintln!("lab \"{}\" is already up on {}{file}", args.lab, runtime.kind());
            }
            return Ok((runtime, lab));
        }
        if say != Say::Nothing {
            eprintln!("lab \"{}\" is not whole: clearing what is left of it", args.lab);
        }
        runtime.down(&args.lab).await?;
    }
    let chosen = runtime::choose(args.kind()).await?;
    if say != Say::Nothing {
        eprintln!("starting lab \"{}\" on {}", args.lab, chosen.why);
    }
    let progress = ui::Progress::new();
    let tell = |step| progress.step(step);
    let up = tokio::select! {
        result = runtime::build(chosen.runtime.as_ref(), &topology, &args.lab, &tell) => result.map(drop),
        () = interrupted() => Err(Error::interrupted()),
    };
    drop(progress);
    if let Err(error) = up {
        if error.kind == netlab::Kind::Interrupted {
            if say != Say::Nothing {
                eprintln!("interrupted: taking down what there is of lab \"{}\"", args.lab);
            }
            chosen.runtime.down(&args.lab).await?;
        }
        return Err(error.into());
    }
    let lab = chosen.runtime.lab(&args.lab).await?;
    let lab = lab.ok_or_else(|| Error::lab(format!("lab \"{}\" went away as it came up", args.lab)))?;
    Ok((chosen.runtime, lab))
}

/// What one might type next.
fn suggest(lab: &LabState, args: &LabArgs) {
    use netlab::topology::Role;
    let named = |role| lab.plan.hosts.iter().find(|h| h.role == role).map(|h| h.name.as_str());
    let (Some(server), Some(client)) = (named(Role::Server), named(Role::Client)) else { return };
    let exec = format!("netlab exec {client} -- tcpecho {server} 8007");
    let [exec, exercise, down] =
        [&*exec, "netlab exercise 2", "netlab down"].map(|command| in_lab(command, &args.lab));
    eprintln!("\ntry: {exec}\n     {exercise}\n     {down}");
}
