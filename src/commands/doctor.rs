//! `netlab doctor`: reports what is missing on this machine, and the command that fixes it.

use std::process::ExitCode;

use anyhow::Result;
use netlab::{
    Error,
    doctor::{self, Finding, Report, State},
};

use super::lab::{block_on, interrupted};

/// Report what is missing on this machine, and the command that fixes it.
///
/// To be sure, it builds a small lab and takes it down again. Exits with 0 if labs can run, otherwise with 3.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: an array of {"check","state":"ok|warn|missing","detail","fix"}.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let report = block_on(async {
            tokio::select! {
                report = doctor::examine() => Ok(report),
                () = interrupted() => {
                    doctor::clear().await?;
                    Err(Error::interrupted().into())
                }
            }
        })?;
        if self.json {
            println!("{}", serde_json::to_string(&report.findings)?);
        } else {
            report.findings.iter().for_each(show);
            println!("\n{}", sum_up(&report));
        }
        Ok(if report.runtimes.is_empty() { ExitCode::from(3) } else { ExitCode::SUCCESS })
    }
}

fn show(finding: &Finding) {
    let mark = match finding.state {
        State::Ok => "✓ ok     ",
        State::Warn => "! warn   ",
        State::Missing => "✗ missing",
    };
    println!("{mark}  {:<11} {}", finding.check, finding.detail);
    if let Some(fix) = &finding.fix {
        println!("{:23} needed for: {}", "", finding.why);
        println!("{:23} to fix:     {fix}", "");
    }
}

fn sum_up(report: &Report) -> String {
    match report.runtimes.as_slice() {
        [] => "no lab can run here yet: fix docker or namespaces".to_owned(),
        [one] => format!("labs run here on {one}"),
        [best, others @ ..] => {
            let others: Vec<_> = others.iter().map(ToString::to_string).collect();
            format!("labs run here on {best}, and with --runtime on {}", others.join(", "))
        }
    }
}
