//! `netlab up`: starts a lab.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use netlab::{
    Error,
    commandline::in_lab,
    runtime::{self, LabState, Runtime},
    topology::{self, Topology},
    workspace,
};
use tokio::time::timeout;

use super::{
    lab::{LabArgs, block_on, interrupted},
    status,
};
use crate::ui;

/// Start a lab: its hosts, and the wires between them.
///
/// In a workspace (a folder with a netlab.yaml, or below one), every host sees the workspace as /lab.
///
/// A lab of that name that is already up stays as it is. The remains of a broken one are removed first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topology to build [default: one server and two clients on one segment].
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
    /// What is being done; nothing if there is nothing to do.
    OnlyWork,
    All,
}

/// Returns the lab, started if it is not up.
pub async fn ensure(args: &LabArgs, file: Option<&Path>, say: Say) -> Result<(Box<dyn Runtime>, LabState)> {
    topology::check_lab_name(&args.lab)?;
    let mut topology = topology::load(file)?;
    if let Some(folder) = workspace::find(Path::new(".")) {
        workspace::mount(&mut topology, &folder)?;
    }
    let found = runtime::find(&args.lab, args.kind()).await?;
    if let Some((_, lab)) = &found {
        runtime::owner::check(&args.lab, lab.owner.as_ref())?;
        if !lab.is_whole() && say != Say::Nothing {
            let how = if lab.half_way { "half built or half removed" } else { "not whole" };
            eprintln!("lab \"{}\" is {how}: removing what is left of it", args.lab);
        }
    }
    let chosen = match found {
        Some((runtime, lab)) if lab.is_whole() => return Ok(already_up(runtime, lab, file, say)),
        // Building on another runtime would not remove what is left on this one.
        Some((runtime, _)) if args.kind().is_none() => {
            let chosen = runtime::choose(None).await?;
            if runtime.kind() != chosen.runtime.kind() {
                runtime.down(&args.lab).await?;
            }
            chosen
        }
        _ => runtime::choose(args.kind()).await?,
    };
    if say != Say::Nothing {
        eprintln!("starting lab \"{}\" on {}", args.lab, chosen.why);
    }
    match start(chosen.runtime.as_ref(), &topology, &args.lab, say).await {
        Ok(lab) => Ok((chosen.runtime, lab)),
        Err(error) if error.kind == netlab::Kind::Interrupted => Err(error.into()),
        Err(error) => match chosen.runtime.lab(&args.lab).await {
            // Somebody else has started it in the meantime.
            Ok(Some(lab)) if lab.is_whole() && lab.other_owner().is_none() => {
                Ok(already_up(chosen.runtime, lab, file, say))
            }
            _ => Err(error.into()),
        },
    }
}

/// A signal to a process group reaches all of it within this time.
const SAME_MOMENT: Duration = Duration::from_millis(50);

/// Builds the lab; if interrupted, takes it down again.
async fn start(runtime: &dyn Runtime, topology: &Topology, lab: &str, say: Say) -> netlab::Result<LabState> {
    let progress = ui::Progress::new();
    let begun = AtomicBool::new(false);
    let tell = |step| {
        begun.store(true, Ordering::Relaxed);
        progress.step(step);
    };
    let mut stop = pin!(interrupted());
    let up = tokio::select! {
        result = runtime::build(runtime, topology, lab, &tell) => result.map(drop),
        () = stop.as_mut() => Err(Error::interrupted()),
    };
    // ^C also goes to the keeper while that still belongs to this terminal, and its failure may be seen here first.
    let up = match up {
        Err(error) if error.kind != netlab::Kind::Interrupted => match timeout(SAME_MOMENT, stop).await {
            Ok(()) => Err(Error::interrupted()),
            Err(_) => Err(error),
        },
        up => up,
    };
    drop(progress);
    if let Err(error) = up {
        // Whatever exists before this build has begun is somebody else's.
        if error.kind == netlab::Kind::Interrupted && begun.into_inner() {
            if say != Say::Nothing {
                eprintln!("interrupted: taking down what is there of lab \"{lab}\"");
            }
            runtime.down(lab).await?;
        }
        return Err(error);
    }
    let state = runtime.lab(lab).await?;
    state.ok_or_else(|| Error::lab(format!("lab \"{lab}\" disappeared while it came up")))
}

fn already_up(
    runtime: Box<dyn Runtime>,
    lab: LabState,
    file: Option<&Path>,
    say: Say,
) -> (Box<dyn Runtime>, LabState) {
    if say == Say::All {
        let file =
            file.map_or(String::new(), |file| format!(", as it was built; {} is ignored", file.display()));
        eprintln!("lab \"{}\" is already up on {}{file}", lab.plan.lab, runtime.kind());
    }
    (runtime, lab)
}

/// Suggests commands to try next.
fn suggest(lab: &LabState, args: &LabArgs) {
    use netlab::topology::Role;
    let named = |role| lab.plan.hosts.iter().find(|h| h.role == role).map(|h| h.name.as_str());
    let (Some(server), Some(client)) = (named(Role::Server), named(Role::Client)) else { return };
    let exec = format!("netlab exec {client} -- tcpecho {server} 8007");
    let [exec, exercise, down] =
        [&*exec, "netlab exercise 2", "netlab down"].map(|command| in_lab(command, &args.lab));
    eprintln!("\ntry: {exec}\n     {exercise}\n     {down}");
}
