//! `netlab status`: shows the state of a lab.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use netlab::runtime::{self, HostState, LabState, RuntimeKind};
use serde_json::json;

use super::lab::{LabArgs, block_on};
use crate::ui;

/// Show a lab's hosts and their state.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// List every lab instead, one per line; with --json, as {"labs":[…]}.
    #[arg(long)]
    all: bool,
    /// Print JSON: {"lab","runtime","owner","whole","hosts":[{"name","address","segment","state"}],"elapsed_ms"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let started = Instant::now();
        block_on(async {
            if self.all {
                return self.list(started).await;
            }
            let (runtime, lab) = runtime::expect(&self.lab.lab, self.lab.kind()).await?;
            print(runtime.kind(), &lab, started.elapsed(), self.json)?;
            if !self.json {
                runtime.limits_reached(&lab.plan).await.iter().for_each(|met| println!("{met}"));
            }
            Ok(if lab.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(3) })
        })
    }

    async fn list(&self, started: Instant) -> Result<ExitCode> {
        let mut labs = Vec::new();
        for runtime in runtime::reachable(self.lab.kind()).await? {
            labs.extend(runtime.labs().await?.into_iter().map(|lab| (runtime.kind(), lab)));
        }
        if self.json {
            let labs: Vec<_> =
                labs.iter().map(|(kind, lab)| to_json(*kind, lab, started.elapsed())).collect();
            println!("{}", json!({ "labs": labs }));
        } else if labs.is_empty() {
            println!("no lab is up");
        } else {
            let rows = labs.iter().map(|(kind, lab)| {
                let whole = if lab.is_whole() { "up" } else { "not whole" };
                let state = format!("{whole}{}", of(lab));
                [lab.plan.lab.clone(), kind.to_string(), format!("{} hosts", lab.hosts.len()), state]
            });
            print!("{}", ui::table(["lab", "runtime", "hosts", "state"], rows));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a lab's state on standard output.
pub fn print(kind: RuntimeKind, lab: &LabState, elapsed: Duration, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(&to_json(kind, lab, elapsed))?);
        return Ok(());
    }
    println!("lab \"{}\" on {kind}{}", lab.plan.lab, of(lab));
    let rows = lab.plan.hosts.iter().zip(&lab.hosts).flat_map(|(host, state)| {
        host.links.iter().enumerate().map(move |(i, link)| {
            let first = |text: String| if i == 0 { text } else { String::new() };
            [
                first(host.name.clone()),
                link.address.to_string(),
                link.segment.clone(),
                first(word(*state).into()),
                first(host.run.clone().unwrap_or_default()),
            ]
        })
    });
    print!("{}", ui::table(["host", "address", "segment", "state", "starts"], rows));
    if lab.half_way {
        println!("it is half built or half removed: somebody is working on it, or it was left like that");
    }
    Ok(())
}

/// Names the owner if that is somebody else.
fn of(lab: &LabState) -> String {
    lab.other_owner().map_or(String::new(), |owner| format!(", of {owner}"))
}

fn to_json(kind: RuntimeKind, lab: &LabState, elapsed: Duration) -> serde_json::Value {
    let hosts = lab.plan.hosts.iter().zip(&lab.hosts).map(|(host, state)| {
        json!({
            "name": host.name,
            "address": host.address(),
            "segment": host.links[0].segment,
            "state": state,
            "role": host.role,
            "links": host.links,
        })
    });
    json!({
        "lab": lab.plan.lab,
        "runtime": kind,
        "owner": lab.owner.as_ref().map(ToString::to_string),
        "whole": lab.is_whole(),
        "hosts": hosts.collect::<Vec<_>>(),
        "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Returns a host's state as a word.
pub fn word(state: HostState) -> &'static str {
    match state {
        HostState::Running => "running",
        HostState::Stopped => "stopped",
        HostState::Missing => "missing",
    }
}
