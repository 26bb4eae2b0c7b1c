//! `netlab keeper`: the background process of a lab on namespaces; `netlab up` starts it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use netlab::runtime::namespaces::keeper;

/// Keep a lab on namespaces; not for people.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lab's name, for who reads it in a list of processes.
    lab: Option<String>,
    /// Only try whether a lab could be kept here, with that folder for its state.
    #[arg(long, value_name = "FOLDER")]
    check: Option<PathBuf>,
}

impl Args {
    // One signature for every command.
    #[allow(clippy::unnecessary_wraps)]
    pub fn run(self) -> Result<ExitCode> {
        Ok(self.check.map_or_else(keeper::main, |folder| keeper::check(&folder)))
    }
}
