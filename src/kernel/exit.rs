//! How a program ended.

use std::fmt;

use nix::libc;
use serde::{Deserialize, Serialize};

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitStatus {
    /// It exited with this code.
    Exited(u8),
    /// It was killed by this signal. Docker reports a signal only as code 128 + number, so there a program
    /// that exits with such a code counts as killed.
    Signaled(i32),
}

impl ExitStatus {
    /// Returns the exit code as a shell does: the code, or 128 + the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => u8::try_from(signal.saturating_add(128)).unwrap_or(u8::MAX),
        }
    }

    /// Decodes a wait(2) status; `None` if the process has not ended.
    pub fn from_wait(status: i32) -> Option<Self> {
        if libc::WIFSIGNALED(status) {
            return Some(Self::Signaled(libc::WTERMSIG(status)));
        }
        let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))?;
        u8::try_from(code).ok().map(Self::Exited)
    }

    /// The inverse of [`ExitStatus::code`].
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
