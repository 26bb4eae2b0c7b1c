//! Everything done in a lab and everything seen of it, in one order.
//!
//! Everything that judges or shows a run (terminal, JSON, HTML) reads this.

use std::{borrow::Cow, fmt, net::SocketAddr, ops::AddAssign};

use serde::{Deserialize, Serialize};

use crate::{
    capture::{Flags, Segment},
    kernel::{ExitStatus, SocketRow},
    observer::ProcessRow,
    time::Nanos,
};

/// One action or observation.
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
    /// A message from the exercise.
    Say {
        /// The text.
        text: String,
    },
    /// A program was started.
    Started {
        /// The exercise's name for the program.
        program: String,
        /// The host.
        host: String,
        /// The command line.
        command: String,
        /// Its pid on the host, if known.
        pid: Option<i32>,
        /// The command that does the same by hand.
        redo: String,
        /// Whether it is the user's own program, in place of the exercise's.
        #[serde(default)]
        own: bool,
    },
    /// A line was typed into a program, or bytes were sent to it.
    Typed {
        /// The exercise's name for the program.
        program: String,
        /// The text.
        text: String,
    },
    /// A program's standard input was closed.
    EndOfFile {
        /// The exercise's name for the program.
        program: String,
    },
    /// A program printed something.
    Printed {
        /// The exercise's name for the program.
        program: String,
        /// The host.
        host: String,
        /// The text.
        text: String,
    },
    /// A program ended.
    Ended {
        /// The exercise's name for the program.
        program: String,
        /// The host.
        host: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// Nothing more can come from a program: its output is closed.
    Silent {
        /// The exercise's name for the program.
        program: String,
    },
    /// netlab sent a signal to a process of a program.
    Signaled {
        /// The exercise's name for the program.
        #[serde(default)]
        program: String,
        /// The host.
        host: String,
        /// Its pid on the host.
        pid: i32,
        /// Its name.
        name: String,
        /// The signal's name.
        signal: String,
        /// The command that does the same by hand.
        redo: String,
    },
    /// A host's link or its power was cut or restored.
    Switched {
        /// The host.
        host: String,
        /// The text.
        text: String,
        /// The command that does the same by hand.
        redo: String,
        /// Whether the host has power now, if that is what changed.
        #[serde(default)]
        power: Option<bool>,
    },
    /// Every host's initial state is recorded; from now on steps are carried out.
    Begun,
    /// A TCP segment passed.
    Packet(Packet),
    /// A host's sockets changed.
    Sockets {
        /// The host.
        host: String,
        /// The whole table.
        rows: Vec<SocketRow>,
    },
    /// A host's processes changed.
    Processes {
        /// The host.
        host: String,
        /// The whole table.
        rows: Vec<ProcessRow>,
    },
    /// A look: a named moment at which checks can be judged.
    Look {
        /// Its name.
        name: String,
    },
    /// A wait was given up.
    #[serde(alias = "in_vain")]
    TimedOut {
        /// How long, in milliseconds.
        waited_ms: u64,
        /// What was observed instead.
        observed: Vec<String>,
    },
    /// Something could not be observed.
    #[serde(alias = "blind")]
    ObservationLost {
        /// Why.
        why: String,
    },
    /// The capture has reached its maximum size: later packets are not in it.
    CaptureFull {
        /// That size, in bytes.
        bytes: u64,
    },
    /// In a report: what was left out to limit its size.
    LeftOut(LeftOut),
}

/// How many observations a report leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Packets; they are in the capture.
    pub packets: usize,
    /// Pieces of program output.
    pub prints: usize,
    /// Changes of hosts' tables.
    pub tables: usize,
    /// Rows of the tables that are shown.
    pub rows: usize,
}

impl LeftOut {
    /// Returns whether nothing was left out.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, more: Self) {
        self.packets += more.packets;
        self.prints += more.prints;
        self.tables += more.tables;
        self.rows += more.rows;
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.packets, "packets, in the capture"),
            (self.prints, "pieces of output"),
            (self.tables, "changes of tables"),
            (self.rows, "rows of tables"),
        ];
        let parts: Vec<_> = parts
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{} more {what}", grouped(n)))
            .collect();
        write!(f, "… {}", parts.join("; "))
    }
}

/// Formats a number with a comma before every three digits.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A TCP segment that passed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Packet {
    /// Its number in the capture, from 1; 0 if the capture was full.
    pub number: u64,
    /// The lab segment on which it passed.
    pub segment: String,
    /// The sending host's name, or its address if it is not a host of the lab.
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
    /// Whether it repeats data that was already sent.
    #[serde(alias = "again")]
    pub retransmission: bool,
    /// How tcpdump prints it.
    pub line: String,
    /// The rest of its header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
}

/// The fields of a TCP segment's header that describe a conversation, besides its flags and length.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The sender's address and port.
    pub src: SocketAddr,
    /// The receiver's address and port.
    pub dst: SocketAddr,
    /// The capture's interface that saw it.
    pub interface: u32,
    /// The number of tunnels around it.
    #[serde(default)]
    pub tunnels: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Window as in the header, not scaled.
    pub window: u16,
    /// Length of its frame on the wire, in bytes.
    pub frame_len: u32,
}

impl From<&Segment<'_>> for Header {
    fn from(segment: &Segment<'_>) -> Self {
        let Segment { src, dst, interface, tunnels, seq, ack, window, frame_len, .. } = *segment;
        Self { src, dst, interface, tunnels, seq, ack, window, frame_len }
    }
}

impl Packet {
    /// Returns the TCP segment without its data; `None` in a run that an older netlab recorded.
    pub fn segment(&self, at: Nanos) -> Option<Segment<'static>> {
        let Header { src, dst, interface, tunnels, seq, ack, window, frame_len } = self.header?;
        let Self { flags, len, .. } = *self;
        let payload = Cow::Borrowed(&[][..]);
        Some(Segment { at, interface, tunnels, src, dst, flags, seq, ack, window, frame_len, len, payload })
    }
}

/// Events in order of time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeline {
    events: Vec<Event>,
}

impl Timeline {
    /// Creates a timeline from events that are already in order.
    pub fn of(events: Vec<Event>) -> Self {
        Self { events }
    }

    /// Adds an event. One that was seen late, after later ones, is inserted according to its time. Returns
    /// its index.
    pub fn add(&mut self, event: Event) -> usize {
        let place = self.events.partition_point(|e| e.at <= event.at);
        self.events.insert(place, event);
        place
    }

    /// Returns the same for people, without what only a judge needs.
    #[must_use]
    pub fn for_people(&self) -> Self {
        let shown = |event: &Event| match &event.what {
            What::Silent { .. } | What::Begun => None,
            _ => Some(event.clone()),
        };
        Self { events: self.events.iter().filter_map(shown).collect() }
    }

    /// Returns the number of the packet that passed at this time on this client's connection, if it is in the
    /// capture.
    pub fn packet_of(&self, client: SocketAddr, at: Nanos) -> Option<u64> {
        let first = self.events.partition_point(|event| event.at < at);
        let then = self.events[first..].iter().take_while(|event| event.at == at);
        let mut numbers = then.filter_map(|event| match &event.what {
            What::Packet(packet) => {
                let header = packet.header.as_ref()?;
                [header.src, header.dst]
                    .contains(&client)
                    .then_some(packet.number)
                    .filter(|number| *number > 0)
            }
            _ => None,
        });
        numbers.next()
    }

    /// Returns the events so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}
