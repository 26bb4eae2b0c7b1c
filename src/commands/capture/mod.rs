//! `netlab capture`: records a lab's packets, and reads captures.

mod follow;
mod record;
mod show;
mod tape;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// Record a lab's packets, and read captures.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Start(record::StartArgs),
    Stop(record::StopArgs),
    List(record::ListArgs),
    Show(show::Args),
    Follow(follow::Args),
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        match self.verb {
            Verb::Start(args) => args.run(),
            Verb::Stop(args) => args.run(),
            Verb::List(args) => args.run(),
            Verb::Show(args) => args.run(),
            Verb::Follow(args) => args.run(),
        }
    }
}

/// `1 packet`, `2 packets`.
fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Returns the remark about a capture from which this many packets are missing.
fn dropped(packets: u64) -> String {
    match packets {
        0 => String::new(),
        1 => "; 1 more was dropped because it came faster than it could be recorded".into(),
        n => format!("; {n} more were dropped because they came faster than they could be recorded"),
    }
}
