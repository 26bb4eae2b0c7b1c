//! Compiles the programs on the server host, where they will run.

use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncReadExt;

use crate::{
    Result,
    error::Context,
    exercise::cast,
    runtime::{ByteStream, Command, ExitStatus, LabState, Process, Runtime},
};

/// More than this of what a compiler says, in bytes, nobody reads.
const LONGEST: u64 = 64 << 10;

/// How compiling went.
#[derive(Clone, Debug, Serialize)]
pub struct Build {
    /// The command.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub output: String,
}

impl Build {
    /// Why the programs cannot be judged, with the compiler's words; nothing if they can.
    pub fn why_not(&self) -> Option<String> {
        (self.status != ExitStatus::Exited(0))
            .then(|| format!("`{}` failed ({}):\n{}", self.command, self.status, self.output.trim_end()))
    }
}

/// Compiles; ends it with SIGKILL if it takes longer.
pub async fn run(command: &str, within: Duration, runtime: &dyn Runtime, lab: &LabState) -> Result<Build> {
    let host = &cast(&lab.plan, 0)?["server"];
    let limit = format!("{:.3}", within.as_secs_f64());
    let argv = ["timeout", "--signal=KILL", &limit, "sh", "-c", command];
    let Process { stdin, stdout, stderr, mut handle, .. } =
        runtime.exec(&lab.plan.lab, host, &Command::new(argv)).await?;
    drop(stdin);
    let (said, complained, status) = tokio::join!(read(stdout), read(stderr), handle.wait());
    Ok(Build { command: command.to_owned(), status: status?, output: said? + &complained? })
}

async fn read(stream: ByteStream) -> Result<String> {
    let mut bytes = Vec::new();
    let mut head = stream.take(LONGEST);
    head.read_to_end(&mut bytes).await.or_lab(|| "cannot read what the compiler says")?;
    // The rest is heard, too, or the compiler could not go on.
    let mut rest = head.into_inner();
    tokio::io::copy(&mut rest, &mut tokio::io::sink())
        .await
        .or_lab(|| "cannot read what the compiler says")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
