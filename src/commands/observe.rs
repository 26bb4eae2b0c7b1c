//! `netlab observe`: the observer's server, which a runtime starts where the lab is.

use std::{fs::File, os::fd::AsFd, process::ExitCode};

use anyhow::Result;
use netlab::observer;
use nix::fcntl::{FcntlArg, fcntl};

/// Size of the pipe to the reader, in bytes: the most an unprivileged user may ask for.
const PIPE: i32 = 1 << 20;

/// Watch a lab from outside its hosts; started by netlab itself.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    #[allow(clippy::unused_self)] // every command has this signature
    pub fn run(self) -> Result<ExitCode> {
        // Bypasses std's line buffer, which would only hold frames back.
        let output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        // With more room in the pipe the two ends switch less often. It also works without.
        let _ = fcntl(&output, FcntlArg::F_SETPIPE_SZ(PIPE));
        observer::serve(std::io::stdin().lock(), output)?;
        Ok(ExitCode::SUCCESS)
    }
}
