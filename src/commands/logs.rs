//! `netlab logs`: shows what a host's own programs print.

use std::{io::Write, pin::pin, process::ExitCode};

use anyhow::Result;
use tokio::io::AsyncReadExt;

use super::lab::{LabArgs, block_on, interrupted};
use crate::ui;

/// Show what a host's own programs have printed: those that its topology runs, and those started with
/// `exec --detach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep showing what they print, until ^C.
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    lab: LabArgs,
    /// The host's name; `netlab status` lists them.
    host: String,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        block_on(async {
            let (runtime, _) = self.lab.open_with(&self.host).await?;
            let mut log = runtime.logs(&self.lab.lab, &self.host, self.follow).await?;
            let mut buffer = vec![0; 32 * 1024];
            let mut stdout = std::io::stdout();
            let mut stop = pin!(interrupted());
            loop {
                let n = tokio::select! {
                    n = log.read(&mut buffer) => n?,
                    () = stop.as_mut() => return Ok(ExitCode::from(130)),
                };
                let written = stdout.write_all(&buffer[..n]).and_then(|()| stdout.flush());
                if n == 0 || !ui::written(written)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        })
    }
}
