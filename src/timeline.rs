//! Everything that was done in a lab and everything that was seen of it, in one order.
//!
//! Whatever shows a run (terminal, JSON, HTML) reads this and nothing else.

use serde::{Deserialize, Serialize};

use crate::{
    capture::Flags,
    observer::{ProcessRow, SocketRow, protocol::Nanos},
    runtime::ExitStatus,
};

/// One thing that was done or seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When, in nanoseconds since the epoch.
    pub at: Nanos,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What was done or seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum What {
    /// The exercise says something.
    Say { text: String },
    /// A program was started. `redo` is the command that does the same by hand.
    Started { program: String, host: String, command: String, pid: Option<i32>, redo: String },
    /// A line was typed into a program, or bytes were sent to it.
    Typed { program: String, text: String },
    /// A program's standard input was closed.
    EndOfFile { program: String },
    /// A program printed something.
    Printed { program: String, host: String, text: String },
    /// A program ended.
    Ended { program: String, host: String, status: ExitStatus },
    /// A process got a signal from us.
    Signaled { host: String, pid: i32, name: String, signal: String, redo: String },
    /// A host's link or its power was cut or mended, in words. `redo` is the command that does the same
    /// by hand.
    Switched { host: String, text: String, redo: String },
    /// A TCP segment passed.
    Packet(Packet),
    /// A host's sockets changed.
    Sockets { host: String, rows: Vec<SocketRow> },
    /// A host's processes changed.
    Processes { host: String, rows: Vec<ProcessRow> },
    /// The exercise took a look, which checks ask about by this name.
    Look { name: String },
    /// Something was waited for, in vain.
    InVain { waited_ms: u64, observed: Vec<String> },
    /// Something could not be seen.
    Blind { why: String },
}

/// A TCP segment that passed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Packet {
    /// Its number in the capture, from 1.
    pub number: u64,
    /// The segment of the lab that it passed on.
    pub segment: String,
    /// The sending host's name, or its address if it is no host of the lab.
    pub from: String,
    /// The sender's port.
    pub from_port: u16,
    /// The receiving host's name or address.
    pub to: String,
    /// The receiver's port.
    pub to_port: u16,
    /// Control bits.
    pub flags: Flags,
    /// Bytes of data.
    pub len: u32,
    /// Whether it carries again what had passed before.
    pub again: bool,
    /// tcpdump's view of it.
    pub line: String,
}

/// Events in the order of their times.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeline {
    events: Vec<Event>,
}

impl Timeline {
    /// Adds an event. One that was seen late, after later ones, goes where its time says. Returns its
    /// place.
    pub fn add(&mut self, event: Event) -> usize {
        let place = self.events.partition_point(|e| e.at <= event.at);
        self.events.insert(place, event);
        place
    }

    /// The events so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}
