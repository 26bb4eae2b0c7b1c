//! `netlab down`: takes a lab down.

use std::{
    pin::{Pin, pin},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    Error,
    commandline::in_lab,
    runtime::{self, LabState, Runtime, owner},
    topology,
};
use serde_json::json;

use super::lab::{LabArgs, block_on, interrupted};

/// Take a lab down, including whatever a crash left of it. Other labs stay up.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take down every lab of yours.
    #[arg(long)]
    all: bool,
    /// Print JSON: {"down":[names]}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        topology::check_lab_name(&self.lab.lab)?;
        block_on(async {
            let mut interrupts = Interrupts::new();
            let mut done = Done::default();
            for runtime in runtime::reachable(self.lab.kind()).await? {
                let names = if self.all { runtime.names().await? } else { vec![self.lab.lab.clone()] };
                for name in names {
                    if interrupts.came {
                        done.left.push(name);
                    } else {
                        done.take_down(runtime.as_ref(), name, &mut interrupts).await?;
                    }
                }
            }
            done.tell(self.json, interrupts.came)
        })
    }
}

/// What became of the labs.
#[derive(Default)]
struct Done {
    gone: Vec<String>,
    /// Their owners, where not the user.
    owners: Vec<String>,
    failed: Vec<Error>,
    /// Errors for labs that belong to somebody else.
    refused: Vec<Error>,
    /// Labs not begun when the user interrupted.
    left: Vec<String>,
}

impl Done {
    async fn take_down(
        &mut self,
        runtime: &dyn Runtime,
        name: String,
        interrupts: &mut Interrupts,
    ) -> netlab::Result<()> {
        // A lab whose state cannot be read is cleared all the same.
        let lab = runtime.lab(&name).await.ok().flatten();
        let owner = lab.as_ref().and_then(LabState::other_owner);
        if let Err(error) = owner::check(&name, owner) {
            self.refused.push(error);
            return Ok(());
        }
        match interrupts.finish(&name, runtime.down(&name)).await? {
            Ok(true) => {
                self.owners.push(owner.map_or(String::new(), |owner| format!(" ({owner}'s)")));
                self.gone.push(name);
            }
            Ok(false) => {}
            Err(error) => self.failed.push(error),
        }
        Ok(())
    }

    fn tell(self, as_json: bool, interrupted: bool) -> Result<ExitCode> {
        if as_json {
            println!("{}", json!({ "down": self.gone }));
        } else if !self.gone.is_empty() {
            let names = self.gone.iter().zip(&self.owners).map(|(name, owner)| format!("{name}{owner}"));
            println!("took down: {}", names.collect::<Vec<_>>().join(", "));
        } else if self.failed.is_empty() && self.refused.is_empty() && self.left.is_empty() {
            println!("no lab was up");
        }
        // The others went down all the same.
        if let Some(error) = self.failed.into_iter().next() {
            return Err(error.into());
        }
        if interrupted {
            let error = Error::interrupted();
            return Err(match self.left.join(", ") {
                left if left.is_empty() => error,
                left => error.hint(format!("still there: {left}")),
            }
            .into());
        }
        // Somebody else's lab of that name is not a failure if the user's own went down.
        let refused = self.refused.into_iter().next().filter(|_| self.gone.is_empty());
        refused.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
    }
}

/// The user's ^C.
struct Interrupts {
    next: Pin<Box<dyn Future<Output = ()>>>,
    /// Whether it has already come once.
    came: bool,
}

impl Interrupts {
    fn new() -> Self {
        Self { next: Box::pin(interrupted()), came: false }
    }

    /// Finishes the work under way at the first ^C: half a lab is of no use. A second ^C abandons it.
    async fn finish<T>(&mut self, lab: &str, work: impl Future<Output = T>) -> netlab::Result<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = &mut self.next => self.next = Box::pin(interrupted()),
            }
            if std::mem::replace(&mut self.came, true) {
                return Err(Error::interrupted().hint(format!(
                    "lab \"{lab}\" is half removed: `{}` finishes it",
                    in_lab("netlab down", lab)
                )));
            }
            eprintln!(
                "interrupted: lab \"{lab}\" is still being taken down; ^C again leaves it half removed"
            );
        }
    }
}
