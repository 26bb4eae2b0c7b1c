//! One file per subcommand. Each owns its arguments and a `run` that does the work.

mod capture;
mod check;
mod completions;
mod doctor;
mod down;
mod exec;
mod exercise;
mod grade;
mod host;
mod init;
mod judge;
mod keeper;
mod kill;
mod lab;
mod link;
mod logs;
mod observe;
mod report;
mod schema;
mod signals;
mod status;
mod submit;
mod up;
mod validate;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// A network lab on one machine: hosts, wires you can watch, and the sockets assignment to run on them.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Up(up::Args),
    Down(down::Args),
    Status(status::Args),
    Exec(exec::Args),
    Shell(exec::ShellArgs),
    Logs(logs::Args),
    Kill(kill::Args),
    Signals(signals::Args),
    Capture(capture::Args),
    Link(link::Args),
    Host(host::Args),
    Init(init::Args),
    Check(check::Args),
    Exercise(exercise::Args),
    Judge(judge::Args),
    Report(report::Args),
    Submit(submit::Args),
    Grade(grade::Args),
    Validate(validate::Args),
    Schema(schema::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Keeper(keeper::Args),
    #[command(hide = true)]
    Observe(observe::Args),
    #[command(hide = true)]
    Wire(wire::Args),
}

pub use kill::spelled_out;

/// Runs the command that the arguments name.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Verb::Up(args) => args.run(),
        Verb::Down(args) => args.run(),
        Verb::Status(args) => args.run(),
        Verb::Exec(args) => args.run(),
        Verb::Shell(args) => args.run(),
        Verb::Logs(args) => args.run(),
        Verb::Kill(args) => args.run(),
        Verb::Signals(args) => args.run(),
        Verb::Capture(args) => args.run(),
        Verb::Link(args) => args.run(),
        Verb::Host(args) => args.run(),
        Verb::Init(args) => args.run(),
        Verb::Check(args) => args.run(),
        Verb::Exercise(args) => args.run(),
        Verb::Judge(args) => args.run(),
        Verb::Report(args) => args.run(),
        Verb::Submit(args) => args.run(),
        Verb::Grade(args) => args.run(),
        Verb::Validate(args) => args.run(),
        Verb::Schema(args) => args.run(),
        Verb::Doctor(args) => args.run(),
        Verb::Completions(args) => args.run(),
        Verb::Keeper(args) => args.run(),
        Verb::Observe(args) => args.run(),
        Verb::Wire(args) => args.run(),
    }
}
