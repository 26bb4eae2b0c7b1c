//! The run step by step: the commands that do the same by hand, what was typed and printed and, folded away, the
//! packets as tcpdump shows them, the tables as netstat and ps show them, and clients that did what others had
//! done.

use maud::{Markup, html};

use super::{anchors, labels::clock};
use crate::{
    printable::printable,
    report::{
        Evidence,
        teller::{Brief, HostTables, Kind, Line, Teller, wording},
    },
};

/// What happens between one sentence of the exercise and the next.
#[derive(Default)]
struct Step {
    says: Option<String>,
    parts: Vec<Part>,
    packets: Vec<Line>,
}

/// A part of a step.
enum Part {
    Line(Line),
    /// Repetitions of the lines before, and how many there are.
    More(String, Vec<Line>),
}

/// Every step.
pub fn section(evidence: &Evidence) -> Markup {
    let (steps, teller) = read(evidence);
    let shows = Shows { evidence, teller };
    let says = |step: &Step| step.says.is_some() || !step.parts.is_empty() || !step.packets.is_empty();
    html! {
        section aria-labelledby="steps" {
            h2 #steps { "Step by step" }
            p { "The commands do the same by hand. What is typed goes to the program's own terminal." }
            @for (number, step) in steps.iter().enumerate().filter(|(_, step)| says(step)) {
                section.step {
                    @if let Some(says) = &step.says {
                        h3 { span.number { (number) "." } " " (says) }
                    }
                    (shows.step(step))
                }
            }
        }
    }
}

/// Returns the run in steps, and the teller that described it.
fn read(evidence: &Evidence) -> (Vec<Step>, Teller) {
    let (mut teller, mut brief) = (evidence.teller(), Brief::new(evidence.focus.clone()));
    let (mut steps, mut step) = (Vec::new(), Step::default());
    let mut counted: Vec<Line> = Vec::new();
    for event in evidence.timeline.events() {
        let is_counted = brief.counts(event);
        let lines = teller.tell(event);
        if is_counted {
            counted.extend(lines);
            continue;
        }
        if let Some(text) = brief.sum_up(Some(event)) {
            step.parts.push(Part::More(text, std::mem::take(&mut counted)));
        }
        for line in lines {
            match line.kind {
                Kind::Step => {
                    let next = Step { says: Some(line.text), ..Step::default() };
                    steps.push(std::mem::replace(&mut step, next));
                }
                Kind::Packet => step.packets.push(line),
                _ => step.parts.push(Part::Line(line)),
            }
        }
    }
    step.parts.extend(brief.sum_up(None).map(|text| Part::More(text, counted)));
    steps.push(step);
    (steps, teller)
}

struct Shows<'e> {
    evidence: &'e Evidence,
    teller: Teller,
}

impl Shows<'_> {
    fn step(&self, step: &Step) -> Markup {
        html! {
            @for part in &step.parts {
                @match part {
                    Part::Line(line) => (self.line(line)),
                    Part::More(text, lines) => details.more {
                        summary { (text) }
                        @for line in lines { (self.line(line)) }
                    },
                }
            }
            @if !step.packets.is_empty() {
                details {
                    summary { (wording::count(step.packets.len(), "packet", "packets")) ", as tcpdump shows them" }
                    pre { @for packet in &step.packets { (format!("{:>9}  {}\n", self.clock(packet), packet.text)) } }
                }
            }
        }
    }

    fn clock(&self, line: &Line) -> String {
        clock(self.teller.since_begin(line.at))
    }

    fn line(&self, line: &Line) -> Markup {
        let (verb, class) = match line.kind {
            Kind::Command => return command(line.by_hand.as_deref().unwrap_or_default(), &line.text),
            Kind::Look => return self.look(line),
            Kind::Step => return html! {},
            Kind::Input => ("reads", "input"),
            Kind::Output => ("prints", "output"),
            Kind::Ended => ("", "output"),
            Kind::Packet => ("packet", "output"),
            Kind::TimedOut | Kind::ObservationLost | Kind::CaptureFull | Kind::LeftOut => ("", "trouble"),
        };
        html! {
            p class={ "event " (class) } {
                span.clock { (self.clock(line)) " ms" } " "
                @if class == "trouble" {
                    span.sign { (line.text) }
                } @else {
                    b { (line.who) } " " span.sign { (verb) } " " code { (line.text) }
                }
            }
        }
    }

    /// What netstat and ps show on each host, and which checks ask about it.
    fn look(&self, line: &Line) -> Markup {
        let asks = |check: &&crate::judge::CheckResult| {
            check.moment.as_ref().is_some_and(|moment| moment.look.as_ref() == Some(&line.text))
        };
        let checks: Vec<_> = self.evidence.outcome.checks.iter().filter(asks).collect();
        html! {
            div.look id=(step_id(&anchors::look_id(&line.text))) {
                p {
                    "A look at every host, “" (line.text) "”"
                    @for (n, check) in checks.iter().enumerate() {
                        @if n == 0 { ", for " } @else { ", " }
                        a href={ "#" (anchors::check_id(&check.id)) } { (check.id) }
                    }
                    ":"
                }
                @for host in &line.tables { (tables(host)) }
            }
        }
    }
}

/// The id, in the step-by-step account, of what has `id` in the figure.
pub fn step_id(id: &str) -> String {
    format!("step-{id}")
}

/// What the tools show of a host.
fn tables(host: &HostTables) -> Markup {
    let has_changed = host.views.iter().any(|view| view.brief().is_some());
    html! {
        details {
            summary { "netstat and ps on " b { (host.host) } @if !has_changed { " (as before)" } }
            @for view in &host.views {
                (command(&view.by_hand, ""))
                pre { (printable(&view.full())) }
            }
        }
    }
}

/// A command as typed for the run's lab.
fn command(line: &str, comment: &str) -> Markup {
    html! {
        pre.command {
            code { (line) }
            @if !comment.is_empty() { span.comment { "  # " (comment) } }
        }
    }
}
