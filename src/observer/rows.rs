//! Rows of a host's process table.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::kernel::ExitStatus;

/// One process of a host, with the host's pids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Process id.
    pub pid: i32,
    /// Parent's process id; 0 if the parent is outside the host.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
    /// State letter, as in `ps`: R, S, D, T, t, Z, X, I.
    pub state: char,
    /// The program's name, cut to 15 characters by the kernel.
    pub name: String,
    /// Its arguments; empty for a zombie.
    pub argv: Vec<String>,
    /// The path of its executable on the host; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// Whether its executable is a copy of one of netlab's own programs, e.g. `tcpechod`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not", alias = "netlabs")]
    pub is_reference_program: bool,
    /// The program of the system or of netlab that its executable is a copy of, e.g. `/usr/bin/socat`; empty
    /// if it is not a copy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub copy_of: String,
    /// Real user id.
    pub uid: u32,
    /// Processor time used, user and system, in ticks of 1/100 s (`/proc/PID/stat` 14 and 15).
    pub ticks: u64,
    /// When it started, in ticks since the machine's boot; together with `pid` this identifies a process
    /// uniquely.
    pub started: u64,
    /// Number of open descriptors; 0 on a host without sockets.
    #[serde(default)]
    pub descriptors: u64,
    /// Signals with a handler (`SigCgt`): bit n-1 is signal n.
    pub caught: u64,
    /// Signals ignored (`SigIgn`).
    pub ignored: u64,
    /// Signals blocked (`SigBlk`).
    pub blocked: u64,
    /// How it ended, as wait(2) would report to its parent; for a zombie only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<ExitStatus>,
}

impl ProcessRow {
    /// Returns whether it has ended and its parent has not yet waited for it.
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// Returns its size in memory, in bytes.
    pub fn size(&self) -> usize {
        let text = |text: &String| size_of::<String>() + text.len();
        size_of::<Self>() + self.name.len() + self.program.len() + self.argv.iter().map(text).sum::<usize>()
    }

    /// Returns whether it differs from `other` only in processor time and descriptors.
    pub fn is_unchanged(&self, other: &Self) -> bool {
        let but_ticks = |p: &Self| {
            (p.pid, p.ppid, p.pgid, p.sid, p.state, p.uid, p.started, p.caught, p.ignored, p.blocked)
        };
        but_ticks(self) == but_ticks(other) && self.runs_as(other) && self.runs_what(other)
    }

    /// Returns whether it has the same name and arguments as `other`.
    fn runs_as(&self, other: &Self) -> bool {
        self.name == other.name && self.argv == other.argv
    }

    /// Returns whether it has the same executable as `other`.
    fn runs_what(&self, other: &Self) -> bool {
        (&self.program, self.is_reference_program, &self.copy_of)
            == (&other.program, other.is_reference_program, &other.copy_of)
    }

    /// Returns whether it is the same process as `other`, and has not executed another program in the
    /// meantime.
    pub fn still_runs(&self, other: &Self) -> bool {
        self.is_same_process(other) && self.runs_as(other)
    }

    /// Returns whether it is the same process as `other`, possibly at another time.
    pub fn is_same_process(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

/// The folders of a host's system. Everything elsewhere was brought or created there.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/snap"];

/// Returns whether the file with this path belongs to the host's system.
pub fn is_of_the_system(path: &str) -> bool {
    SYSTEM.iter().any(|folder| Path::new(path).starts_with(folder))
}
