//! `netlab observe`: the observer's looking end, started by a runtime where the lab is.

use std::{fs::File, os::fd::AsFd, process::ExitCode};

use anyhow::Result;
use netlab::observer;
use nix::fcntl::{FcntlArg, fcntl};

/// How much may be on its way to the reader, in bytes: as much as anybody may ask for.
const PIPE: i32 = 1 << 20;

/// Watch a lab from outside its hosts; netlab starts it by itself.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    #[allow(clippy::unused_self)] // every command is run alike
    pub fn run(self) -> Result<ExitCode> {
        // Past std's line buffer, which would only hold frames back.
        let output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        // With more room in the pipe the two ends take turns less often. Without it, it works as well.
        let _ = fcntl(&output, FcntlArg::F_SETPIPE_SZ(PIPE));
        observer::serve(std::io::stdin().lock(), output)?;
        Ok(ExitCode::SUCCESS)
    }
}
