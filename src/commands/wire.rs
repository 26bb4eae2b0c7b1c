//! `netlab wire`: closes a lab's wire where it is among a machine's own interfaces; a runtime starts it
//! there.

use std::process::ExitCode;

use anyhow::Result;
use netlab::runtime::wire::machine;

/// Close a lab's wire; netlab starts it by itself.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    #[allow(clippy::unused_self)] // every command is run alike
    pub fn run(self) -> Result<ExitCode> {
        machine::serve(std::io::stdin().lock(), std::io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }
}
