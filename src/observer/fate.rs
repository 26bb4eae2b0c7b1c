//! What a signal does to a process, as its host's process table shows it.

use std::{fmt, time::Duration};

use nix::libc;
use serde::Serialize;

use crate::{
    Result,
    observer::{ProcessRow, Session, Tables},
};

/// How long to wait for a signal's effect before reporting none.
const PATIENCE: Duration = Duration::from_secs(2);

/// The effect of a signal on a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is gone, or a zombie.
    Ended,
    /// It has a handler for the signal, and continues.
    Caught,
    /// It ignores the signal, or the signal's default is to be ignored.
    Ignored,
    /// It blocks the signal, which stays pending.
    Blocked,
    /// It is stopped.
    Stopped,
    /// It was stopped, and is running again.
    Continued,
    /// It was already a zombie: it has ended, and signals have no effect.
    Zombie,
    /// It continues without a handler or a known reason, e.g. because it is PID 1 of its host.
    Unmoved,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ended => "ended by the signal",
            Self::Caught => "caught by its handler; it continues",
            Self::Ignored => "ignored; it continues",
            Self::Blocked => "blocked; it continues and the signal is pending",
            Self::Stopped => "stopped; `netlab kill --signal CONT` continues it",
            Self::Continued => "continued",
            Self::Zombie => "already a zombie, so signals have no effect; its parent has not waited for it",
            Self::Unmoved => "no effect; it continues",
        })
    }
}

/// Sends `signal` to `process` and observes its effect.
pub async fn deliver(session: &mut Session, host: &str, process: &ProcessRow, signal: i32) -> Result<Fate> {
    session.observer.signal(host, process.pid, signal).await?;
    let expected = expect(process, signal);
    let met = session.until(patience(expected), |tables| shows(tables, host, process, expected)).await?;
    Ok(match expected {
        // A handler may end the program.
        Fate::Caught if met => Fate::Ended,
        Fate::Ended | Fate::Stopped | Fate::Continued if !met => Fate::Unmoved,
        fate => fate,
    })
}

/// Predicts a signal's effect from the process's disposition (signal(7)).
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

/// How long to wait. A handler that ends the program does so soon; most only print a line and return.
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
