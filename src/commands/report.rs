//! `netlab report`: makes a run's report again from its evidence.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    printable::visible,
    report::{self, Format},
    run::newest,
};

use crate::ui;

/// Rebuild a run's report from the evidence in its folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder, or its evidence.json; without it, the newest run.
    #[arg(value_name = "DIR")]
    run: Option<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where it goes, `-` for stdout. Without it, a page goes to report.html in the run's folder, and
    /// any other form to stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where to look for the newest run.
    #[arg(long, value_name = "DIR", default_value = "captures")]
    captures: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let run = self.run.map_or_else(|| newest(&self.captures), Ok)?;
        let evidence = report::read(&run)?;
        let text = self.format.render(&evidence)?;
        let default = (self.format == Format::Html).then(|| evidence.outcome.artifacts.report.clone());
        match self.output.or(default).filter(|file| file != Path::new("-")) {
            Some(file) => {
                report::save(&file, &text)?;
                println!("{}", visible(&file.to_string_lossy()));
            }
            None => {
                ui::print(&text)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
