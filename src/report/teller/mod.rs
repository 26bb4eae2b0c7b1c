//! Puts a run into words, event by event: the one place that does so, for the terminal, Markdown and HTML.
//!
//! The teller yields [`Line`]s; renderers only decide how they look. Shared phrases are in [`wording`].

mod brief;
mod focus;
mod line;
mod tables;
pub mod wording;

#[cfg(test)]
mod tests;

use crate::{
    commandline::in_lab,
    judge::{Snapshot, by_hand},
    printable::{printable, visible},
    time::Nanos,
    timeline::{Event, Packet, What},
    topology::Plan,
};

pub use brief::Brief;
pub use focus::Focus;
pub use line::{Kind, Line, Who};
pub use tables::{HostTables, View};

use tables::Looks;

/// Puts each event of a run into words, and keeps the state that the events so far lead to.
pub struct Teller {
    lab: String,
    hosts: Vec<String>,
    snapshot: Snapshot,
    looks: Looks,
    begun: Option<Nanos>,
}

impl Teller {
    /// Creates a teller for a run on this lab that begins with `snapshot`; `focus` is what its checks ask about.
    pub fn new(plan: &Plan, snapshot: Snapshot, focus: Focus) -> Self {
        let hosts = plan.hosts.iter().map(|host| host.name.clone()).collect();
        Self { lab: plan.lab.clone(), hosts, snapshot, looks: Looks::new(focus), begun: None }
    }

    /// The time of an event since the run began, in nanoseconds.
    pub fn since_begin(&self, at: Nanos) -> Nanos {
        at.saturating_sub(self.begun.unwrap_or(at))
    }

    /// The lines for an event. A changed table has none until the next look.
    pub fn tell(&mut self, event: &Event) -> Vec<Line> {
        self.begun.get_or_insert(event.at);
        self.snapshot.apply(event);
        let line = |kind, who, text: String| Line {
            at: event.at,
            kind,
            who,
            text,
            by_hand: None,
            tables: Vec::new(),
        };
        let one = match &event.what {
            What::Say { text } => line(Kind::Step, Who::default(), printable(text)),
            What::Started { program, host, redo, pid, .. } => {
                let who = Who { pid: *pid, ..Who::of(program, host) };
                let comment = pid.map_or_else(String::new, |pid| format!("pid {pid}"));
                Line { by_hand: self.command(redo), ..line(Kind::Command, who, comment) }
            }
            What::Signaled { program, host, pid, name, signal, .. } => {
                let who = Who { pid: Some(*pid), ..Who::of(program, host) };
                let comment = visible(&wording::signaled(signal, name, *pid, host));
                let kill = by_hand::kill(&self.snapshot, program, *pid, name, signal, host);
                Line { by_hand: self.command(&kill), ..line(Kind::Command, who, comment) }
            }
            What::Switched { host, text, redo, .. } => {
                let comment = visible(&format!("{host}: {text}"));
                Line { by_hand: self.command(redo), ..line(Kind::Command, Who::host(host), comment) }
            }
            What::Typed { program, text } => line(Kind::Input, self.who(program), wording::excerpt(text)),
            What::EndOfFile { program } => line(Kind::Input, self.who(program), wording::END_OF_FILE.into()),
            What::Printed { program, host, text } => {
                let of = |text| line(Kind::Output, Who::of(program, host), wording::excerpt(text));
                return text.lines().map(of).collect();
            }
            What::Ended { program, host, status } => {
                line(Kind::Ended, Who::of(program, host), wording::ended(*status))
            }
            What::Packet(packet) => line(Kind::Packet, Who::host(&packet.from), packet_line(packet)),
            What::Look { name } => {
                let tables = self.looks.look(name, &self.lab, &self.hosts, &self.snapshot);
                Line { tables, ..line(Kind::Look, Who::default(), visible(name)) }
            }
            What::TimedOut { waited_ms, observed } => {
                let observed = visible(&observed.join("; "));
                line(
                    Kind::TimedOut,
                    Who::default(),
                    format!("{}: {observed}", wording::timed_out(*waited_ms)),
                )
            }
            What::ObservationLost { why } => line(
                Kind::ObservationLost,
                Who::default(),
                format!("{}: {}", wording::OBSERVATION_LOST, visible(why)),
            ),
            What::CaptureFull { bytes } => line(
                Kind::CaptureFull,
                Who::default(),
                format!("{}: {}", wording::CAPTURE_FULL, wording::kept(*bytes)),
            ),
            What::LeftOut(left) => line(Kind::LeftOut, Who::default(), left.to_string()),
            What::Sockets { .. } | What::Processes { .. } | What::Silent { .. } | What::Begun => {
                return Vec::new();
            }
        };
        vec![one]
    }

    /// A command as typed for the run's lab.
    fn command(&self, redo: &str) -> Option<String> {
        Some(visible(&in_lab(redo, &self.lab)))
    }

    /// A program, on its host.
    fn who(&self, program: &str) -> Who {
        Who::of(program, self.snapshot.programs.get(program).map_or("", |program| &program.host))
    }
}

/// A packet as tcpdump shows it, preceded by its number in the capture.
fn packet_line(packet: &Packet) -> String {
    match packet.number {
        0 => visible(&packet.line),
        number => format!("#{number} {}", visible(&packet.line)),
    }
}
