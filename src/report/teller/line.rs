//! A line of what happened, before a renderer decides how it looks.

use std::fmt;

use super::tables::HostTables;
use crate::{printable::visible, time::Nanos};

/// One thing that was done or seen, in words.
#[derive(Clone, Debug)]
pub struct Line {
    /// When, in nanoseconds since the epoch.
    pub at: Nanos,
    /// What it is about.
    pub kind: Kind,
    /// Who did it, or to whom it was done.
    pub who: Who,
    /// What is said about it. It contains no characters that control a terminal or a page.
    pub text: String,
    /// The command that does the same by hand, in the run's lab.
    pub by_hand: Option<String>,
    /// At a look, what every host's tables show.
    pub tables: Vec<HostTables>,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The exercise announces what comes next; the text may have several lines.
    Step,
    /// An action that a command does by hand; the text is a comment on it.
    Command,
    /// A program was given input.
    Input,
    /// A program printed a line.
    Output,
    /// A program ended.
    Ended,
    /// A packet passed.
    Packet,
    /// Every host was looked at; the text is the look's name.
    Look,
    /// The exercise gave up waiting for something.
    TimedOut,
    /// The lab could not see something.
    ObservationLost,
    /// The capture has reached its limit.
    CaptureFull,
    /// What a report leaves out.
    LeftOut,
}

/// The program or host that a line is about, if any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The exercise's name for the program.
    pub program: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// Its pid on its host.
    pub pid: Option<i32>,
}

impl Who {
    /// A program on a host; an empty host name means none.
    pub(super) fn of(program: &str, host: &str) -> Self {
        let host = (!host.is_empty()).then(|| host.to_owned());
        Self { program: Some(program.to_owned()), host, pid: None }
    }

    /// A host.
    pub(super) fn host(host: &str) -> Self {
        Self { host: Some(host.to_owned()), ..Self::default() }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.program, &self.host) {
            (Some(program), Some(host)) => write!(f, "{} on {}", visible(program), visible(host)),
            (Some(one), None) | (None, Some(one)) => f.write_str(&visible(one)),
            (None, None) => Ok(()),
        }
    }
}
