//! `netlab host`: cuts a host's power, or restores it.

use std::process::ExitCode;

use anyhow::Result;
use netlab::runtime::HostState;
use serde_json::json;

use super::{
    lab::{LabArgs, block_on},
    status::word,
};
use crate::ui;

/// Cut a host's power, or restore it.
///
/// A stopped host is gone at once: first its links, so that no FIN or RST reaches its peers, then its
/// programs. It comes back with the same name and addresses and runs its own command again, but knows
/// nothing of its earlier connections, and its own files are lost.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("power").required(true)))]
pub struct Args {
    /// Cut the power.
    #[arg(long, group = "power")]
    stop: bool,
    /// Restore the power.
    #[arg(long, group = "power")]
    start: bool,
    /// Cut the power and restore it.
    #[arg(long, group = "power")]
    reboot: bool,
    /// Print JSON: {"host","state"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
    /// The host's name; `netlab status` lists them.
    host: String,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        block_on(async {
            let (runtime, _) = self.lab.open_with(&self.host).await?;
            if self.stop || self.reboot {
                runtime.stop_host(&self.lab.lab, &self.host).await?;
            }
            if self.start || self.reboot {
                runtime.start_host(&self.lab.lab, &self.host).await?;
            }
            let state = if self.stop { HostState::Stopped } else { HostState::Running };
            if self.json {
                ui::print(&format!("{}\n", json!({"host": self.host, "state": state})))?;
            } else {
                ui::print(&format!("{}: {}\n", self.host, word(state)))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
