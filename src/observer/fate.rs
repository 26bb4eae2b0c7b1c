//! What becomes of a process that gets a signal, as its host's process table shows it.

use std::{fmt, time::Duration};

use nix::libc;
use serde::Serialize;

use crate::{
    Result,
    observer::{ProcessRow, Session, Tables},
};

/// How long a signal may take to show its effect before we say that it shows none.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of a process after a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is gone, or a zombie.
    Ended,
    /// It has a handler for the signal, and goes on.
    Caught,
    /// It ignores the signal, or the signal's default is to be ignored.
    Ignored,
    /// It blocks the signal, which waits.
    Blocked,
    /// It is stopped.
    Stopped,
    /// It was stopped, and runs again.
    Continued,
    /// It was a zombie already: it has ended, and no signal reaches it.
    Zombie,
    /// It goes on, with neither handler nor reason: it is PID 1 of its host, perhaps.
    Unmoved,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ended => "ended by the signal",
            Self::Caught => "caught by its handler; it goes on",
            Self::Ignored => "ignored; it goes on",
            Self::Blocked => "blocked; it goes on and the signal waits",
            Self::Stopped => "stopped; `netlab kill --signal CONT` lets it go on",
            Self::Continued => "continued",
            Self::Zombie => "a zombie already, which no signal reaches; its parent has not waited for it",
            Self::Unmoved => "nothing; it goes on",
        })
    }
}

/// Sends `signal` to `process` and watches what comes of it.
pub async fn deliver(session: &mut Session, host: &str, process: &ProcessRow, signal: i32) -> Result<Fate> {
    session.observer.signal(host, process.pid, signal).await?;
    let expected = expect(process, signal);
    let met = session.until(patience(expected), |tables| shows(tables, host, process, expected)).await?;
    Ok(match expected {
        // A handler may well end the program.
        Fate::Caught if met => Fate::Ended,
        Fate::Ended | Fate::Stopped | Fate::Continued if !met => Fate::Unmoved,
        fate => fate,
    })
}

/// What a signal does by the process's disposition (signal(7)).
fn expect(process: &ProcessRow, signal: i32) -> Fate {
    let bit = 1u64 << (signal - 1);
    let uncatchable = matches!(signal, libc::SIGKILL | libc::SIGSTOP);
    match signal {
        _ if process.is_zombie() => Fate::Zombie,
        libc::SIGCONT if matches!(process.state, 'T' | 't') => Fate::Continued,
        _ if !uncatchable && process.blocked & bit != 0 => Fate::Blocked,
        _ if !uncatchable && process.ignored & bit != 0 => Fate::Ignored,
        _ if !uncatchable && process.caught & bit != 0 => Fate::Caught,
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Fate::Stopped,
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => Fate::Ignored,
        _ => Fate::Ended,
    }
}

/// A handler that ends the program does so soon; most only write a line and go on.
fn patience(expected: Fate) -> Duration {
    match expected {
        Fate::Ended | Fate::Stopped | Fate::Continued => PATIENCE,
        Fate::Caught => Duration::from_millis(100),
        _ => Duration::ZERO,
    }
}

fn shows(tables: &Tables, host: &str, process: &ProcessRow, expected: Fate) -> bool {
    let now = tables.processes(host).iter().find(|p| p.is_same_process(process));
    match expected {
        Fate::Ended | Fate::Caught => now.is_none_or(ProcessRow::is_zombie),
        Fate::Stopped => now.is_some_and(|p| p.state == 'T'),
        Fate::Continued => now.is_some_and(|p| p.state != 'T'),
        _ => true,
    }
}
