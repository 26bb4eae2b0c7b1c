//! The `netlab` command: parses the arguments and runs `commands/<verb>.rs`.

#[macro_use]
mod ui;
mod commands;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    netlab::signals::begin();
    let cli = match commands::Cli::try_parse_from(commands::spelled_out(std::env::args_os())) {
        Ok(cli) => cli,
        Err(answer) => return ui::answer(&answer),
    };
    match commands::run(cli).and_then(|code| ui::all_written().map(|()| code)) {
        Ok(code) => code,
        Err(error) => ui::fail(&error),
    }
}
