//! `netlab host`: cuts a host's power and gives it back.

use std::process::ExitCode;

use anyhow::Result;
use netlab::runtime::HostState;
use serde_json::json;

use super::{
    lab::{LabArgs, block_on},
    status::word,
};
use crate::ui;

/// Cut a host's power, or give it back.
///
/// A host that is stopped is gone at once: its links first, so that no FIN and no RST tells anybody, then
/// its programs. It comes back with the same name and addresses, its own command started anew, and
/// knows nothing of its earlier connections; files that it had of its own are gone.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("power").required(true)))]
pub struct Args {
    /// Cut its power.
    #[arg(long, group = "power")]
    stop: bool,
    /// Give it power again.
    #[arg(long, group = "power")]
    start: bool,
    /// Cut its power and give it back.
    #[arg(long, group = "power")]
    reboot: bool,
    /// Print JSON: {"host","state"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
    /// The host, as `netlab status` names it.
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
