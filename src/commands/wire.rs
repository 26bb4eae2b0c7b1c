//! `netlab wire`: closes a lab's wire where it lies among a machine's own interfaces, and changes a host's network
//! from there. Started by a runtime.

use std::process::ExitCode;

use anyhow::Result;
use netlab::runtime::wire::{host, machine};

/// Close a lab's wire; started by netlab itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run a command on the network of the host with this PID 1 instead.
    #[arg(long, value_name = "PID")]
    of: Option<i32>,
    /// That command.
    #[arg(last = true, requires = "of")]
    command: Vec<String>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        if let Some(init) = self.of {
            return Err(host::execute(init, &self.command).into());
        }
        machine::serve(std::io::stdin().lock(), std::io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }
}
