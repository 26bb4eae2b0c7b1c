//! Rows of a host's process table and socket table.

use std::{fmt, net::SocketAddr, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::runtime::ExitStatus;

/// One process of a host, numbered as the host numbers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Process id.
    pub pid: i32,
    /// Parent's process id; 0 where the parent is outside the host.
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
    /// The file that it executes, as the host names it; empty where nobody can tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// Whether what it runs is a copy of one of netlab's own programs, as `tcpechod`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub netlabs: bool,
    /// The program of the system or of netlab that the file is a copy of, as `/usr/bin/socat`, if it is one and
    /// lies elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub copy_of: String,
    /// Real user id.
    pub uid: u32,
    /// Processor time used, user and system, in ticks of 1/100 s (`/proc/PID/stat` 14 and 15).
    pub ticks: u64,
    /// When it started, in ticks since the machine's boot; with `pid` it names a process for good.
    pub started: u64,
    /// How many descriptors it holds; 0 on a host without a socket.
    #[serde(default)]
    pub descriptors: u64,
    /// Signals with a handler (`SigCgt`): bit n-1 is signal n.
    pub caught: u64,
    /// Signals ignored (`SigIgn`).
    pub ignored: u64,
    /// Signals blocked (`SigBlk`).
    pub blocked: u64,
    /// How it ended, as wait(2) would tell its parent; for a zombie only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<ExitStatus>,
}

impl ProcessRow {
    /// Whether it has ended and waits for its parent to ask how.
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        let text = |text: &String| size_of::<String>() + text.len();
        size_of::<Self>() + self.name.len() + self.program.len() + self.argv.iter().map(text).sum::<usize>()
    }

    /// Whether nothing has changed from `other` but the processor time used and the descriptors held.
    pub fn is_unchanged(&self, other: &Self) -> bool {
        let but_ticks = |p: &Self| {
            (p.pid, p.ppid, p.pgid, p.sid, p.state, p.uid, p.started, p.caught, p.ignored, p.blocked)
        };
        but_ticks(self) == but_ticks(other) && self.runs_as(other) && self.runs_what(other)
    }

    /// Whether it has the name and the arguments that `other` has.
    fn runs_as(&self, other: &Self) -> bool {
        self.name == other.name && self.argv == other.argv
    }

    /// Whether what it executes is what `other` does.
    fn runs_what(&self, other: &Self) -> bool {
        (&self.program, self.netlabs, &self.copy_of) == (&other.program, other.netlabs, &other.copy_of)
    }

    /// Whether it is the same process as `other`, and has executed nothing else meanwhile.
    pub fn still_runs(&self, other: &Self) -> bool {
        self.is_same_process(other) && self.runs_as(other)
    }

    /// Whether it is the same process as `other`, perhaps at another time.
    pub fn is_same_process(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

/// One TCP socket of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRow {
    /// Its own end. An IPv4 connection of a dual-stack socket is shown as IPv4.
    pub local: SocketAddr,
    /// The other end; port 0 for a listening socket.
    pub remote: SocketAddr,
    /// Whether it is an IPv6 socket (netstat's `tcp6`).
    pub v6: bool,
    /// State.
    pub state: TcpState,
    /// Bytes not yet read; for a listening socket, connections not yet accepted.
    pub recv_q: u32,
    /// Bytes not yet acknowledged.
    pub send_q: u32,
    /// Inode; 0 where no descriptor refers to it any more, or not yet.
    pub inode: u64,
    /// User id.
    pub uid: u32,
    /// The processes that hold a descriptor of it, lowest pid first.
    pub owners: Vec<i32>,
}

impl SocketRow {
    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + size_of_val(self.owners.as_slice())
    }
}

/// States of a TCP connection (RFC 9293, 3.3.2), spelled as netstat spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum TcpState {
    Established,
    SynSent,
    SynRecv,
    #[serde(rename = "FIN_WAIT1")]
    FinWait1,
    #[serde(rename = "FIN_WAIT2")]
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

impl TcpState {
    /// As netstat prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a host has what came with it. Everything else on it was brought or made there.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/snap"];

/// Whether a host has the file of that name from the system.
pub fn is_of_the_system(path: &str) -> bool {
    SYSTEM.iter().any(|folder| Path::new(path).starts_with(folder))
}
