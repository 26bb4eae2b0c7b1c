//! `netlab down`: takes a lab down.

use std::process::ExitCode;

use anyhow::Result;
use netlab::{Error, runtime, topology};
use serde_json::json;

use super::lab::{LabArgs, block_on};

/// Take a lab down, with whatever a crash left of it. Other labs stay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take every lab down.
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
            let (mut gone, mut failed) = (Vec::new(), Vec::new());
            let runtimes = runtime::reachable(self.lab.kind()).await?;
            if runtimes.is_empty() {
                return Err(Error::lab("no runtime answers, so no lab can be found")
                    .hint("`netlab doctor` says what is missing")
                    .into());
            }
            for runtime in runtimes {
                let names = if self.all {
                    runtime.labs().await?.into_iter().map(|lab| lab.plan.lab).collect()
                } else {
                    vec![self.lab.lab.clone()]
                };
                for name in names {
                    match runtime.down(&name).await {
                        Ok(true) => gone.push(name),
                        Ok(false) => {}
                        Err(error) => failed.push(error),
                    }
                }
            }
            if self.json {
                println!("{}", json!({ "down": gone }));
            } else if !gone.is_empty() {
                println!("took down: {}", gone.join(", "));
            } else if failed.is_empty() {
                println!("no lab was up");
            }
            // The others went down all the same.
            let first = failed.into_iter().next();
            first.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
        })
    }
}
