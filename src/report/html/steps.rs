//! The run as it went, step by step: the command that redoes each thing, what was typed and printed,
//! and, folded away, the packets as tcpdump shows them and the tables as netstat and ps do.

use maud::{Markup, html};

use super::labels::clock;
use crate::{
    observer::{Seen, Tables, render},
    printable::{printable, visible},
    report::{Evidence, in_lab, narrative::capture_full},
    time::Nanos,
    timeline::{Event, Packet, What},
};

/// What is told between two sayings.
#[derive(Default)]
struct Step<'e> {
    says: Option<&'e str>,
    events: Vec<&'e Event>,
}

/// Every step.
pub fn section(evidence: &Evidence) -> Markup {
    let events = evidence.timeline.events();
    let start = events.first().map_or(0, |e| e.at);
    let mut steps = vec![Step::default()];
    for event in events {
        match &event.what {
            What::Say { text } => steps.push(Step { says: Some(text), events: Vec::new() }),
            _ => steps.last_mut().unwrap_or_else(|| unreachable!("there is a first step")).events.push(event),
        }
    }
    let mut teller = Teller { evidence, start, tables: Tables::default() };
    html! {
        section aria-labelledby="steps" {
            h2 #steps { "Step by step" }
            p { "The commands do the same by hand. What is typed goes to the program's own terminal." }
            @for (number, step) in steps.iter().enumerate() {
                @let told = teller.step(step);
                @if let Some(says) = step.says {
                    section.step {
                        h3 { span.number { (number) "." } " " (visible(says)) }
                        (told)
                    }
                } @else if !told.0.is_empty() {
                    section.step { (told) }
                }
            }
        }
    }
}

struct Teller<'e> {
    evidence: &'e Evidence,
    start: Nanos,
    tables: Tables,
}

impl Teller<'_> {
    fn step(&mut self, step: &Step) -> Markup {
        let packets: Vec<(Nanos, &Packet)> = step
            .events
            .iter()
            .filter_map(|e| if let What::Packet(packet) = &e.what { Some((e.at, packet)) } else { None })
            .collect();
        html! {
            @for event in &step.events { (self.event(event)) }
            @if !packets.is_empty() {
                details {
                    summary { (packets.len()) @if packets.len() == 1 { " packet" } @else { " packets" } ", as tcpdump shows them" }
                    pre { @for (at, packet) in &packets { (format!("{:>9}  ", self.clock(*at))) (visible(&packet.line)) "\n" } }
                }
            }
        }
    }

    fn clock(&self, at: Nanos) -> String {
        clock(at.saturating_sub(self.start))
    }

    fn event(&mut self, event: &Event) -> Markup {
        let told = |who: &str, sign: &str, what: String, class: &str| {
            html! {
                p class={ "event " (class) } {
                    span.clock { (self.clock(event.at)) " ms" } " " b { (who) } " " span.sign { (sign) } " " code { (what) }
                }
            }
        };
        match &event.what {
            What::Started { redo, pid, .. } => self.command(redo, pid.map(|pid| format!("pid {pid}"))),
            What::Signaled { redo, host, name, pid, signal, .. } => {
                self.command(redo, Some(format!("{signal} → {} (pid {pid}) on {host}", visible(name))))
            }
            What::Switched { redo, host, text, .. } => self.command(redo, Some(format!("{host}: {text}"))),
            What::Typed { program, text } => told(program, "reads", shortened(text), "input"),
            What::EndOfFile { program } => told(program, "reads", "^D (end of file)".into(), "input"),
            What::Printed { program, text, .. } => html! {
                @for line in text.lines() { (told(program, "prints", shortened(line), "output")) }
            },
            What::Ended { program, status, .. } => told(program, "ends:", status.to_string(), "output"),
            What::TimedOut { waited_ms, observed } => told(
                "",
                "waited in vain",
                format!("{waited_ms} ms: {}", visible(&observed.join("; "))),
                "vain",
            ),
            What::ObservationLost { why } => told("", "out of sight", visible(why), "vain"),
            What::CaptureFull { bytes } => told("", "the capture is full", capture_full(*bytes), "vain"),
            What::LeftOut(left) => told("", "not shown here", left.to_string(), "vain"),
            What::Sockets { host, rows } => {
                self.tables.apply(&Seen::Sockets { at: event.at, host: host.clone(), rows: rows.clone() });
                html! {}
            }
            What::Processes { host, rows } => {
                self.tables.apply(&Seen::Processes { at: event.at, host: host.clone(), rows: rows.clone() });
                html! {}
            }
            What::Look { name } => self.look(name),
            What::Say { .. } | What::Packet(_) | What::Silent { .. } | What::Begun => html! {},
        }
    }

    /// A command as one types it for the lab of the run.
    fn command(&self, redo: &str, comment: Option<String>) -> Markup {
        let redo = in_lab(redo, &self.evidence.plan.lab);
        html! {
            pre.command {
                code { (visible(&redo)) }
                @if let Some(comment) = comment { span.comment { "  # " (comment) } }
            }
        }
    }

    /// What netstat and ps show on each host.
    fn look(&self, name: &str) -> Markup {
        let shown = |host: &str| {
            let (sockets, processes) = (self.tables.sockets(host), self.tables.processes(host));
            [
                ("netstat -tn", render::netstat_tn(sockets)),
                ("netstat -putan", render::netstat_putan(sockets, processes)),
                ("ps -eo pid,ppid,s,time,args", render::ps(processes)),
            ]
        };
        html! {
            div.look {
                p { "A look at every host, “" (visible(name)) "”:" }
                @for host in self.evidence.plan.hosts.iter().map(|h| h.name.as_str()) {
                    details {
                        summary { "netstat and ps on " b { (host) } }
                        @for (line, output) in shown(host) {
                            (self.command(&format!("netlab exec {host} -- {line}"), None))
                            pre { (printable(&output)) }
                        }
                    }
                }
            }
        }
    }
}

/// A text without its line feed; a long one with its length instead of its end.
fn shortened(text: &str) -> String {
    let line = visible(text.trim_end_matches('\n'));
    match line.char_indices().nth(200) {
        Some((at, _)) => format!("{}… ({} bytes)", &line[..at], text.len()),
        None => line,
    }
}
