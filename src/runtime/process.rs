//! A program that runs on a host, as its starter holds it.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWrite;

use super::ByteStream;
use crate::Result;

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

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitStatus {
    /// By itself, with this code.
    Exited(u8),
    /// By a signal of this number. Docker tells a signal only as code 128 + number, so there a
    /// program that exits with such a code counts as killed.
    Signaled(i32),
}

impl ExitStatus {
    /// As a shell has it: the code, or 128 + the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => u8::try_from(signal.saturating_add(128)).unwrap_or(u8::MAX),
        }
    }

    /// From a status as wait(2) gives it; none if the process has not ended.
    pub fn from_wait(status: i32) -> Option<Self> {
        if nix::libc::WIFSIGNALED(status) {
            return Some(Self::Signaled(nix::libc::WTERMSIG(status)));
        }
        let code = nix::libc::WIFEXITED(status).then(|| nix::libc::WEXITSTATUS(status))?;
        u8::try_from(code).ok().map(Self::Exited)
    }

    /// The reverse of [`ExitStatus::code`].
    pub fn from_code(code: u8) -> Self {
        match code {
            129..=192 => Self::Signaled(i32::from(code) - 128),
            _ => Self::Exited(code),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit {code}"),
            Self::Signaled(n) => match nix::sys::signal::Signal::try_from(*n) {
                Ok(signal) => write!(f, "ended by {signal}"),
                Err(_) => write!(f, "ended by signal {n}"),
            },
        }
    }
}
