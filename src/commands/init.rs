//! `netlab init`: creates a workspace for the assignment.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use netlab::{
    printable::visible,
    workspace::{self, Placement},
};
use serde_json::json;

use crate::ui;

/// Create a workspace for the assignment: a worksheet, servers to complete in C and in Rust, and a
/// netlab.yaml that tells `netlab check` how to run them.
///
/// Existing files are kept as they are.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; created if it does not exist.
    folder: PathBuf,
    /// Print JSON: {"folder","written","kept"}.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let laid = workspace::lay_out(&self.folder)?;
        let of = |wanted| {
            laid.iter().filter(move |(_, laid)| *laid == wanted).map(|(path, _)| path.to_string_lossy())
        };
        if self.json {
            let (written, kept): (Vec<_>, Vec<_>) =
                (of(Placement::Written).collect(), of(Placement::Kept).collect());
            ui::print(&format!(
                "{}\n",
                json!({"folder": self.folder.to_string_lossy(), "written": written, "kept": kept})
            ))?;
            return Ok(ExitCode::SUCCESS);
        }
        let lines = laid.iter().map(|(path, laid)| match laid {
            Placement::Written => format!("wrote {}\n", visible(&path.to_string_lossy())),
            Placement::Kept => format!("kept  {}\n", visible(&path.to_string_lossy())),
        });
        ui::print(&lines.collect::<String>())?;
        eprintln!(
            "\ntry: cd {}\n     netlab up\n     netlab exec server -- make -C {}\n     netlab check all",
            visible(&self.folder.to_string_lossy()),
            workspace::ON_HOSTS
        );
        Ok(ExitCode::SUCCESS)
    }
}
