//! `netlab keeper`: the background process of a lab on namespaces, started by `netlab up`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use netlab::runtime::namespaces::keeper;

/// Keep a lab on namespaces; started by netlab itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lab's name, only so that a list of processes shows it.
    lab: Option<String>,
    /// Only test whether a lab could be kept here, with its state in this folder.
    #[arg(long, value_name = "FOLDER")]
    check: Option<PathBuf>,
}

impl Args {
    // Every command has this signature.
    #[allow(clippy::unnecessary_wraps)]
    pub fn run(self) -> Result<ExitCode> {
        Ok(self.check.map_or_else(keeper::main, |folder| keeper::check(&folder)))
    }
}
