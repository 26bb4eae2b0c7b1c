//! A program that runs on a host, as seen by its starter.

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
    /// Its working directory; the host's root folder if unset.
    pub workdir: Option<String>,
    /// A terminal of this size in place of the three pipes. Its output then arrives on `stdout`.
    pub terminal: Option<TerminalSize>,
    /// Whether it is a program under judgement: it then runs as the host's ordinary user `student`, without
    /// capabilities and with no_new_privs, so that nothing it executes can gain one.
    #[serde(default)]
    pub unprivileged: bool,
    /// Whether it is one of netlab's own commands that changes the host's network: it then has the right to,
    /// even where nobody on the host has.
    #[serde(default)]
    pub changes_network: bool,
}

impl Command {
    /// A command that runs `argv` with pipes.
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
/// Dropping it closes the streams but does not end the program, like closing a terminal window.
pub struct Process {
    /// Its pid, in the observer's PID namespace.
    pub pid: i32,
    /// Its standard input; shut it down for an end of file.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output, or its terminal's.
    pub stdout: ByteStream,
    /// Its standard error; empty with a terminal.
    pub stderr: ByteStream,
    /// Its other operations.
    pub handle: Box<dyn Handle>,
}

/// Operations on a running program other than reading and writing its streams.
#[async_trait]
pub trait Handle: Send + Sync {
    /// Waits for its end. May be called again after a cancelled call or after the end.
    async fn wait(&mut self) -> Result<ExitStatus>;

    /// Resizes its terminal, if it has one.
    async fn resize(&self, size: TerminalSize) -> Result<()>;
}

impl dyn Handle {
    /// Waits for the program's end while reading its `streams`. Its children may keep those open as long as
    /// they live; so once the program has ended, output already on its way gets `grace` to arrive. Returns
    /// how the program ended, and the result of `streams` if they have ended, too.
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
