//! `netlab observe`: the observer's looking end, started by a runtime where the lab is.

use std::{fs::File, os::fd::AsFd, process::ExitCode};

use anyhow::Result;
use netlab::observer;

/// Watch a lab from outside its hosts; netlab starts it by itself.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    #[allow(clippy::unused_self)] // every command is run alike
    pub fn run(self) -> Result<ExitCode> {
        // Past std's line buffer, which would only hold frames back.
        let output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        observer::serve(std::io::stdin().lock(), output)?;
        Ok(ExitCode::SUCCESS)
    }
}
