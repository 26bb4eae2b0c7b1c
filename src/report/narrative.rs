//! A run told as text, event by event: what was done, with the command that does it by hand; every
//! packet as tcpdump prints it; and at each look what netstat and ps show on each host.

use std::fmt::Write;

use crate::{
    capture::TcpState,
    kernel::{ExitStatus, SocketRow},
    observer::{Seen, Tables, render},
    printable::{printable, visible},
    timeline::{Event, What},
    topology,
};

/// Commands that are about a lab.
const OF_A_LAB: [&str; 8] = ["exec", "exercise", "kill", "link", "host", "logs", "up", "down"];

/// So many packets and prints are told between two things that are done.
const MOST_COME: usize = 150;

/// So many sockets in TIME_WAIT are shown of a host.
const MOST_WAITING: usize = 8;

/// How texts stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    Plain,
    /// By colour, on a terminal.
    Colour,
}

impl Style {
    /// `text` in an SGR style.
    pub fn paint(self, sgr: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{sgr}m{text}\x1b[0m"),
        }
    }
}

/// Tells a run.
pub struct Narrator {
    style: Style,
    lab: String,
    tables: Tables,
    hosts: Vec<String>,
    started: Option<u64>,
    /// Packets and prints since the last thing that was done.
    come: usize,
}

impl Narrator {
    /// Tells of a lab with these hosts.
    pub fn new(style: Style, lab: &str, hosts: Vec<String>) -> Self {
        Self { style, lab: lab.to_owned(), tables: Tables::default(), hosts, started: None, come: 0 }
    }

    /// What an event says; most changes of a table say nothing by themselves. Of what comes without end
    /// between two things that are done, the beginning.
    pub fn tell(&mut self, event: &Event) -> Option<String> {
        match event.what {
            What::Packet(_) | What::Printed { .. } => {
                self.come += 1;
                if self.come > MOST_COME { None } else { self.say(event) }
            }
            What::Sockets { .. } | What::Processes { .. } => self.say(event),
            _ => {
                let left = std::mem::take(&mut self.come).saturating_sub(MOST_COME);
                let left = (left > 0).then(|| format!("           … and {left} more packets and lines"));
                let said = self.say(event);
                Some([left, said].into_iter().flatten().collect::<Vec<_>>().join("\n"))
                    .filter(|s| !s.is_empty())
            }
        }
    }

    fn say(&mut self, event: &Event) -> Option<String> {
        let since = event.at.saturating_sub(*self.started.get_or_insert(event.at));
        let milliseconds = format!("{:9.1} ms", since as f64 / 1e6);
        let at = self.style.paint("2", &milliseconds);
        Some(match &event.what {
            What::Say { text } => format!("\n{}", self.style.paint("1", &printable(text))),
            What::Started { redo, pid, .. } => {
                let pid = pid.map_or(String::new(), |pid| format!("   # pid {pid}"));
                self.command(redo, &pid)
            }
            What::Typed { program, text } => format!("{at}  {} ← {}", visible(program), excerpt(text)),
            What::EndOfFile { program } => format!("{at}  {} ← ^D (end of file)", visible(program)),
            What::Printed { program, host, text } => {
                let who = visible(&format!("{program} on {host}"));
                let lines = text.lines().map(|line| format!("{at}  {who} → {}", visible(line)));
                lines.collect::<Vec<_>>().join("\n")
            }
            What::Ended { program, host, status } => {
                format!("{at}  {}: {}", visible(&format!("{program} on {host}")), ended(*status))
            }
            What::Signaled { host, pid, name, signal, redo, .. } => {
                self.command(redo, &format!("   # {signal} → {name} (pid {pid}) on {host}"))
            }
            What::Switched { host, text, redo, .. } => self.command(redo, &format!("   # {host}: {text}")),
            What::Packet(packet) => format!("{at}  {}", self.style.paint("36", &visible(&packet.line))),
            What::Sockets { host, rows } => {
                self.tables.apply(&Seen::Sockets { at: event.at, host: host.clone(), rows: rows.clone() });
                return None;
            }
            What::Processes { host, rows } => {
                self.tables.apply(&Seen::Processes { at: event.at, host: host.clone(), rows: rows.clone() });
                return None;
            }
            What::Silent { .. } | What::Begun => return None,
            What::Look { .. } => self.look(),
            What::TimedOut { waited_ms, observed } => {
                let what = visible(&observed.join("; "));
                self.style.paint("33", &format!("           waited {waited_ms} ms in vain: {what}"))
            }
            What::ObservationLost { why } => {
                self.style.paint("31", &format!("           out of sight: {}", visible(why)))
            }
            What::CaptureFull { bytes } => {
                self.style.paint("33", &format!("           the capture is full: {}", capture_full(*bytes)))
            }
            What::LeftOut(left) => self.style.paint("33", &format!("           {left}")),
        })
    }

    fn command(&self, redo: &str, comment: &str) -> String {
        let redo = visible(&in_lab(redo, &self.lab));
        format!(
            "{}{}",
            self.style.paint("32", &format!("$ {redo}")),
            self.style.paint("2", &visible(comment))
        )
    }

    /// What netstat and ps show on each host.
    fn look(&self) -> String {
        let mut text = String::new();
        for host in &self.hosts {
            let (sockets, more) = shortened(self.tables.sockets(host));
            let processes = self.tables.processes(host);
            let mut show = |command: &str, output: &str| {
                let redo = self.command(&format!("netlab exec {host} -- {command}"), "");
                // A String can always be written to.
                let _ = writeln!(text, "{redo}\n{}", output.trim_end());
            };
            show("netstat -tn", &(render::netstat_tn(&sockets) + &more));
            show("netstat -putan", &(render::netstat_putan(&sockets, processes) + &more));
            show("ps -eo pid,ppid,s,time,args", &render::ps(processes));
        }
        text.trim_end().to_owned()
    }
}

/// What it means that a capture is full.
pub(super) fn capture_full(bytes: u64) -> String {
    format!("at most {} MiB of packets are kept, and none from now on", bytes >> 20)
}

/// A command as one types it for that lab, where it is not the one that is meant anyway.
pub fn in_lab(command: &str, lab: &str) -> String {
    let mut starts = OF_A_LAB.iter().map(|verb| format!("netlab {verb}"));
    match starts.find_map(|start| Some((command.strip_prefix(&start)?, start))) {
        Some((rest, start)) if lab != topology::DEFAULT_LAB => format!("{start} --lab {lab}{rest}"),
        _ => command.to_owned(),
    }
}

/// Without most of what is in TIME_WAIT, which says little and lasts a minute; and how many are left out.
fn shortened(sockets: &[SocketRow]) -> (Vec<SocketRow>, String) {
    let mut waiting = 0;
    let mut shown = sockets.to_vec();
    shown.retain(|socket| {
        waiting += usize::from(socket.state == TcpState::TimeWait);
        socket.state != TcpState::TimeWait || waiting <= MOST_WAITING
    });
    let more = sockets.len() - shown.len();
    (shown, if more > 0 { format!("… and {more} more in TIME_WAIT\n") } else { String::new() })
}

fn ended(status: ExitStatus) -> String {
    match status {
        ExitStatus::Exited(code) => format!("ended with exit code {code}"),
        ExitStatus::Signaled(_) => status.to_string(),
    }
}

/// A text without line feed, shortened to what fits a line.
fn excerpt(text: &str) -> String {
    let line = visible(text.trim_end_matches('\n'));
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{}… ({} bytes)", &line[..at], text.len()),
        None => line,
    }
}
