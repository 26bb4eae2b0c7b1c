//! Phrases shared by the step-by-step account and the figure.

use std::fmt;

use crate::{
    judge::{Moment, ProcessId},
    kernel::ExitStatus,
    printable::{shortened_from, visible},
};

/// Maximum length of a program's text, in characters.
const LONGEST: usize = 120;

/// The end of a program's input, named by the key that causes it.
pub const END_OF_FILE: &str = "^D (end of file)";

/// Something happened that the lab did not see.
pub const OBSERVATION_LOST: &str = "observation lost";

/// The capture has reached its limit.
pub const CAPTURE_FULL: &str = "the capture is full";

/// The exercise stopped waiting for something.
pub fn timed_out(waited_ms: u64) -> String {
    format!("gave up after {}", duration(waited_ms))
}

/// A duration, e.g. `350 ms`, `2 s` or `2.5 s`.
pub fn duration(ms: u64) -> String {
    match (ms / 1000, ms % 1000 / 100) {
        (0, _) => format!("{ms} ms"),
        (s, 0) => format!("{s} s"),
        (s, tenths) => format!("{s}.{tenths} s"),
    }
}

/// How a program ended.
pub fn ended(status: ExitStatus) -> String {
    match status {
        ExitStatus::Exited(code) => format!("exited with code {code}"),
        ExitStatus::Signaled(_) => status.to_string(),
    }
}

/// A signal that was sent, and its target.
pub fn signaled(signal: &str, name: &str, pid: i32, host: &str) -> String {
    format!("{signal} → {name} (pid {pid}) on {host}")
}

/// How much a full capture keeps.
pub fn kept(bytes: u64) -> String {
    format!("it keeps the first {} MiB", bytes >> 20)
}

/// A count with its noun, e.g. `1 packet` or `2 packets`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A program's text on one line.
pub fn excerpt(text: &str) -> String {
    shortened(text, LONGEST)
}

/// A text on one line, without its line feed. One of more than `most` characters is cut and followed by its length.
pub fn shortened(text: &str, most: usize) -> String {
    shortened_from(&visible(text.trim_end_matches('\n')), most, text.len()).into_owned()
}

/// A place in a run to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The look of that name.
    Look(String),
    /// The end of the run.
    End,
    /// The packet of that number in the capture.
    Packet(u64),
    /// A process.
    Process(ProcessId),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look(name) => write!(f, "look “{}”", visible(name)),
            Self::End => f.write_str("the end of the run"),
            Self::Packet(number) => write!(f, "packet {number}"),
            Self::Process(process) => write!(f, "process {} on {}", process.pid, visible(&process.host)),
        }
    }
}

/// Where in a run to see the reason for a check's verdict: the look, then a packet or a process.
pub fn places(moment: &Moment) -> Vec<Place> {
    let look = moment.look.clone().map_or(Place::End, Place::Look);
    let packet = moment.packet.map(Place::Packet);
    let process = moment.process.clone().map(Place::Process);
    [look].into_iter().chain(packet).chain(process).collect()
}
