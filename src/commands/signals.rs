//! `netlab signals`: lists the signals by number and name, like `kill -l`.

use std::process::ExitCode;

use anyhow::Result;
use netlab::signals;
use serde_json::json;

/// List the signals by number and name, like `kill -l`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: an array of {"number","name"}.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let all = signals::all();
        if self.json {
            let rows: Vec<_> = all.map(|(n, name)| json!({"number": n, "name": name})).collect();
            println!("{}", serde_json::to_string(&rows)?);
            return Ok(ExitCode::SUCCESS);
        }
        let cells: Vec<_> = all.map(|(n, name)| format!("{n:2}) {name:<14}")).collect();
        for line in cells.chunks(5) {
            println!("{}", line.concat().trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }
}
