//! `netlab link`: cuts, restores or degrades a host's link.

use std::process::ExitCode;

use anyhow::Result;
use netlab::{
    commandline::in_lab,
    link::{self, Change},
};
use serde_json::json;

use super::lab::{LabArgs, block_on};

/// Cut, restore or degrade a host's link, and print the commands that do it.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub struct Args {
    /// Cut the link.
    #[arg(long, group = "change", conflicts_with = "up")]
    down: bool,
    /// Restore the link.
    #[arg(long, group = "change")]
    up: bool,
    /// Drop this percentage of the packets the host sends (needs netem in the kernel).
    #[arg(long, group = "change", value_name = "PERCENT", value_parser = percent)]
    loss: Option<f64>,
    /// Delay each packet by this much, e.g. 100ms (needs netem in the kernel).
    #[arg(long, group = "change", value_name = "TIME")]
    delay: Option<String>,
    /// Limit the rate at which the host sends, e.g. 1mbit.
    #[arg(long, group = "change", value_name = "RATE")]
    rate: Option<String>,
    /// Remove loss, delay and rate limit.
    #[arg(long, group = "change", conflicts_with_all = ["loss", "delay", "rate"])]
    clear: bool,
    /// Print JSON: {"host","commands"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
    /// The host's name; `netlab status` lists them.
    host: String,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let change = Change {
            up: (self.up || self.down).then_some(self.up),
            loss: self.loss,
            delay: self.delay.clone(),
            rate: self.rate.clone(),
            clear: self.clear,
        };
        block_on(async {
            let (runtime, lab) = self.lab.open_host(&self.host).await?;
            // Always found: the lab was opened with this host.
            let Some(host) = lab.plan.host(&self.host) else { return Ok(ExitCode::from(3)) };
            let done = link::change(runtime.as_ref(), &self.lab.lab, host, &change).await?;
            if self.json {
                println!("{}", json!({"host": self.host, "commands": done}));
            } else {
                for command in done {
                    println!("{}", in_lab(&format!("netlab exec {} -- {command}", self.host), &self.lab.lab));
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn percent(word: &str) -> Result<f64, String> {
    match word.trim_end_matches('%').parse() {
        Ok(n) if (0.0..=100.0).contains(&n) => Ok(n),
        _ => Err("expected a number from 0 to 100".into()),
    }
}
