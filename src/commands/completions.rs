//! `netlab completions`: prints a shell's tab completion script.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::ui;

/// Print a tab completion script, e.g. `netlab completions bash > ~/.local/share/bash-completion/completions/netlab`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "netlab", &mut script);
        ui::print(&String::from_utf8(script)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
