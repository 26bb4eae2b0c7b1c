//! `netlab init`: a workspace for the assignment.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use netlab::{
    printable::visible,
    workspace::{self, Placement},
};
use serde_json::json;

use crate::ui;

/// Lay out a workspace for the assignment: a worksheet, a server to complete in C and in Rust, and a
/// netlab.yaml that says how `netlab check` runs them.
///
/// Files that are there already stay as they are.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; it is made if it is not there.
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
