//! Compiles the programs on the server host, where they will run.

use std::{
    io,
    pin::pin,
    time::{Duration, Instant},
};

use nix::libc::SIGKILL;
use serde::Serialize;
use tokio::{io::AsyncReadExt, time::timeout_at};

use crate::{
    Result,
    error::Context,
    exercise::assign_roles,
    kernel::ExitStatus,
    runtime::{ByteStream, Command, LabState, Process, Runtime},
};

/// Maximum length of the compiler's output that is kept, in bytes; nobody reads more.
const LONGEST: u64 = 64 << 10;

/// How long to wait for the rest of the compiler's output after its end.
const DRAIN: Duration = Duration::from_millis(100);

/// How much longer to wait for the command than its time limit. It shares a host with timeout(1), and can keep that
/// from ending it.
const GRACE: Duration = Duration::from_secs(2);

/// The exit code of timeout(1) when it had to end the command by SIGKILL, in the shell's convention.
const KILLED: u8 = 128 + 9;

/// How compiling went.
#[derive(Clone, Debug, Serialize)]
pub struct Build {
    /// The command.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub output: String,
    /// Its time limit in seconds, if it was ended for exceeding it.
    pub ran_out: Option<f64>,
}

impl Build {
    /// Why the programs cannot be judged, with the compiler's output; `None` if they can.
    pub fn why_not(&self) -> Option<String> {
        Some(format!("{}:\n{}", self.how_it_failed()?, self.output.trim_end()))
    }

    /// The same without the compiler's output.
    pub fn how_it_failed(&self) -> Option<String> {
        let how = match (self.ran_out, self.status) {
            (Some(within), _) => format!("time ran out: it had {within} s"),
            (None, ExitStatus::Exited(0)) => return None,
            (None, status) => status.to_string(),
        };
        Some(format!("`{}` failed ({how})", self.command))
    }
}

/// Runs the command, and ends it with SIGKILL if it takes longer than `within`.
pub async fn run(command: &str, within: Duration, runtime: &dyn Runtime, lab: &LabState) -> Result<Build> {
    let host = &assign_roles(&lab.plan, 0)?["server"];
    let limit = format!("{:.3}", within.as_secs_f64());
    // Taken before timeout(1) starts counting, so that when its time is up, so is this one.
    let started = Instant::now();
    let argv = ["timeout", "--signal=KILL", &limit, "sh", "-c", command];
    let command_line = Command { unprivileged: true, ..Command::new(argv) };
    let Process { stdin, stdout, stderr, mut handle, .. } =
        runtime.exec(&lab.plan.lab, host, &command_line).await?;
    drop(stdin);
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let ended = {
        let listening = async { tokio::try_join!(read(stdout, &mut said), read(stderr, &mut complained)) };
        let listening = pin!(listening);
        let over = tokio::time::Instant::from_std(started) + within + GRACE;
        // Background processes may hold its streams open indefinitely.
        match timeout_at(over, handle.wait_and_drain(listening, DRAIN)).await {
            Ok((status, read)) => {
                read.transpose().or_lab(|| "cannot read what the compiler says")?;
                Some(status?)
            }
            Err(_) => None,
        }
    };
    let status = ended.unwrap_or(ExitStatus::Signaled(SIGKILL));
    let output = String::from_utf8_lossy(&[said, complained].concat()).into_owned();
    let is_over = status.code() == KILLED && started.elapsed() >= within;
    let ran_out = is_over.then_some(within.as_secs_f64());
    Ok(Build { command: command.to_owned(), status, output, ran_out })
}

/// Keeps the beginning, but reads to the end: otherwise the compiler would block.
async fn read(stream: ByteStream, kept: &mut Vec<u8>) -> io::Result<()> {
    let mut head = stream.take(LONGEST);
    head.read_to_end(kept).await?;
    tokio::io::copy(&mut head.into_inner(), &mut tokio::io::sink()).await.map(drop)
}
