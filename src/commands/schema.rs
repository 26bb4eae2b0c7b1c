//! `netlab schema`: prints the JSON schemas of the files that people write.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{class::course, exercise, topology, workspace};

use crate::ui;

/// Print the JSON schema for a kind of file, for use in editors.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind of file.
    #[arg(value_enum, default_value_t = FileKind::Topology)]
    kind: FileKind,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FileKind {
    /// A lab's segments and hosts, e.g. topology/lab.yaml.
    Topology,
    /// An exercise, e.g. exercises/2.yaml.
    Exercise,
    /// A workspace's netlab.yaml.
    Workspace,
    /// A course's grading rules, e.g. course.yaml.
    Course,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let schema = match self.kind {
            FileKind::Topology => topology::schema(),
            FileKind::Exercise => exercise::schema(),
            FileKind::Workspace => workspace::schema(),
            FileKind::Course => course::schema(),
        };
        ui::written(writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&schema)?))?;
        Ok(ExitCode::SUCCESS)
    }
}
