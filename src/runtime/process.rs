//! A program that runs on a host, as its starter holds it.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWrite, time::timeout};

use super::ByteStream;
use crate::{Result, kernel::ExitStatus};

/// What to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program, looked up in the host's PATH, and its arguments.
    pub argv: Vec<String>,
    /// Added to the host's environment.
    pub env: BTreeMap<String, String>,
    /// Where it starts; the host's root folder if unset.
    pub workdir: Option<String>,
    /// A terminal of that size instead of three pipes. Its output then comes on `stdout`.
    pub terminal: Option<TerminalSize>,
    /// Whether it is under judgement: it then runs as the host's ordinary user `student`, without any
    /// capability and with no_new_privs, so that nothing it executes can gain one.
    #[serde(default)]
    pub unprivileged: bool,
    /// Whether it is netlab's own and changes the host's network: it has the right to, also where nobody on
    /// the host has.
    #[serde(default)]
    pub changes_network: bool,
}

impl Command {
    /// Runs `argv` with pipes.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// A running program and its streams.
///
/// Dropping it closes the streams and lets the program go on, as a closed terminal window would.
pub struct Process {
    /// Its number where the lab's observer runs.
    pub pid: i32,
    /// Its standard input; shut it down for an end of file.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output, or its terminal's.
    pub stdout: ByteStream,
    /// Its standard error; empty with a terminal.
    pub stderr: ByteStream,
    /// The rest of what one can do with it.
    pub handle: Box<dyn Handle>,
}

/// What one can do with a running program, besides talk to it.
#[async_trait]
pub trait Handle: Send + Sync {
    /// Waits for its end. May be called again after a cancelled call, and after the end.
    async fn wait(&mut self) -> Result<ExitStatus>;

    /// Tells its terminal that it has a new size; nothing without a terminal.
    async fn resize(&self, size: TerminalSize) -> Result<()>;
}

impl dyn Handle {
    /// Waits for the program's end while its `streams` are read. Its children may hold those open for as long as they
    /// live: once it has ended, what is on its way already gets `grace` to come. Gives how it ended, and what came of
    /// the streams if they have ended, too.
    pub async fn wait_and_drain<S: Future>(
        &mut self,
        mut streams: Pin<&mut S>,
        grace: Duration,
    ) -> (Result<ExitStatus>, Option<S::Output>) {
        let status = tokio::select! {
            status = self.wait() => status,
            read = streams.as_mut() => return (self.wait().await, Some(read)),
        };
        (status, timeout(grace, streams).await.ok())
    }
}
