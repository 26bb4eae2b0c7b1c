//! The ladder as a picture. Nothing in it depends on colour alone: states have different dashes and are
//! named beside them, a socket that no process holds is hollow, a zombie is hatched, a reset is a broken
//! arrow with a cross.

use maud::{Markup, html};

use super::{
    geometry::Geometry,
    labels::{Anchor, labels},
};
use crate::{
    capture::Flags,
    capture::TcpState,
    printable::visible,
    report::ladder::{Activity, Holder, Item, Lifeline, Place, SocketLine, Span, Transition},
    timeline::Packet,
};

pub const ZOMBIE: &str = "zombie-hatching";

/// Draws a figure. `id` is the prefix of the ids of its title and description, which screen readers use; `class`
/// decides when it is shown.
pub fn draw(g: &Geometry, id: &str, class: &str, title: &str, description: &str) -> Markup {
    let (ladder, measures) = (g.ladder, g.measures);
    let (width, height) = (px(g.width), px(g.height));
    html! {
        svg class={ "ladder " (class) } role="img" aria-labelledby={ (id) "-title " (id) "-desc" }
            viewBox={ "0 0 " (width) " " (height) } width=(width)
            font-size=(px(measures.font)) xmlns="http://www.w3.org/2000/svg" {
            title id={ (id) "-title" } { (title) }
            desc id={ (id) "-desc" } { (description) }
            @for (left, right) in &g.hosts {
                rect class="host" x=(px(*left)) y=(px(g.tops[0])) width=(px(right - left)) height=(px(end(g) - g.tops[0])) {}
            }
            @for line in &ladder.sockets { (socket(g, line)) }
            @for line in &ladder.lifelines { (process(g, line)) }
            @for (row, content) in ladder.rows.iter().enumerate() {
                @for item in &content.items { (mark(g, row, item)) }
            }
            @for label in labels(g) {
                @let text = html! {
                    text class=(label.class) x=(px(label.x)) y=(px(label.y)) text-anchor=[anchor(label.anchor)] {
                        @if let Some(full) = &label.full { title { (full) } }
                        (label.text)
                    }
                };
                @if let Some(id) = &label.leads_to { a href={ "#" (id) } { (text) } } @else { (text) }
            }
        }
    }
}

fn anchor(anchor: Anchor) -> Option<&'static str> {
    match anchor {
        Anchor::Start => None,
        Anchor::Middle => Some("middle"),
        Anchor::End => Some("end"),
    }
}

fn end(g: &Geometry) -> f64 {
    g.tops[g.tops.len() - 1]
}

/// The fill pattern of zombies. It stands apart because a pattern in a picture that is not shown paints
/// nothing.
pub fn hatching() -> Markup {
    html! {
        svg class="hidden" aria-hidden="true" width="1" height="1" {
            pattern id=(ZOMBIE) width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect class="paper" width="5" height="5" {}
                line class="hatch" x1="1" y1="0" x2="1" y2="5" {}
            }
        }
    }
}

/// From the row where one step begins to the row where the next one does.
fn stretch<T>(g: &Geometry, span: &Span<T>) -> (f64, f64) {
    let until = if span.until < g.ladder.rows.len() { g.middle(span.until) } else { end(g) };
    (g.middle(span.from), until)
}

fn socket(g: &Geometry, line: &SocketLine) -> Markup {
    let x = g.lane(Place { host: line.host, lane: line.lane });
    let width = g.lane_width(line.host);
    html! {
        @for span in &line.spans {
            @let (from, until) = stretch(g, span);
            line class={ "state " (class(span.is.state)) } x1=(px(x)) x2=(px(x)) y1=(px(from)) y2=(px(until))
                stroke-width=(px(width)) stroke-dasharray=[dashes(span.is.state)] {}
            @if span.is.holder == Holder::Nobody {
                line class="hollow" x1=(px(x)) x2=(px(x)) y1=(px(from + 1.5)) y2=(px(until - 1.5)) stroke-width=(px(width * 0.5)) {}
            }
        }
    }
}

/// A state's family: its colour.
pub fn class(state: TcpState) -> &'static str {
    match state {
        TcpState::Listen => "listen",
        TcpState::SynSent | TcpState::SynRecv => "opening",
        TcpState::Established => "established",
        TcpState::FinWait1 | TcpState::FinWait2 | TcpState::Closing => "fin-wait",
        TcpState::CloseWait | TcpState::LastAck => "close-wait",
        TcpState::TimeWait | TcpState::Close => "time-wait",
    }
}

/// A state's dashes.
pub fn dashes(state: TcpState) -> Option<&'static str> {
    match class(state) {
        "listen" => Some("2 3"),
        "opening" => Some("5 3"),
        "fin-wait" => Some("12 3"),
        "close-wait" => Some("12 3 3 3"),
        "time-wait" => Some("4 5"),
        _ => None,
    }
}

fn process(g: &Geometry, line: &Lifeline) -> Markup {
    let x = g.lifeline(line.lane);
    html! {
        @for span in &line.spans {
            @let (from, until) = stretch(g, span);
            @if span.is == Activity::Zombie {
                rect class="zombie" fill={ "url(#" (ZOMBIE) ")" } x=(px(x - g.lifeline_width() / 2.0)) width=(px(g.lifeline_width())) y=(px(from)) height=(px(until - from)) {}
            } @else {
                line class=(activity(span.is)) x1=(px(x)) x2=(px(x)) y1=(px(from)) y2=(px(until)) {}
            }
        }
    }
}

fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Running => "life running",
        Activity::Sleeping => "life",
        Activity::Stopped => "life stopped",
        Activity::Zombie => "zombie",
    }
}

/// The shapes of one item; its text is in the labels.
fn mark(g: &Geometry, row: usize, item: &Item) -> Markup {
    let y = g.middle(row);
    match item {
        Item::Step { .. } => html! {
            rect class="paper" x="0" y=(px(g.tops[row])) width=(px(g.width)) height=(px(g.tops[row + 1] - g.tops[row])) {}
            line class="rule" x1="0" x2=(px(g.width)) y1=(px(g.tops[row] + 5.0)) y2=(px(g.tops[row] + 5.0)) {}
        },
        Item::Wait { .. } => {
            let left = g.hosts[0].0 - 2.0;
            html! {
                rect class="paper" x=(px(left)) y=(px(y - 3.0)) width=(px(g.width - left)) height="6" {}
                line class="break" x1=(px(left)) x2=(px(g.width)) y1=(px(y - 3.0)) y2=(px(y - 3.0)) {}
                line class="break" x1=(px(left)) x2=(px(g.width)) y1=(px(y + 3.0)) y2=(px(y + 3.0)) {}
            }
        }
        Item::Arrow { packet, from, to } => arrow(g, row, packet, *from, *to),
        Item::Bulk { from, to, .. } => {
            let (top, bottom) = (g.tops[row] + 3.0, g.tops[row + 1] - 1.0);
            html! {
                @for y in [top, bottom] {
                    line class="bulk" x1=(px(g.lane(*from))) x2=(px(g.lane(*to))) y1=(px(y)) y2=(px(y)) {}
                }
            }
        }
        Item::Socket { place, .. } => {
            let (x, half) = (g.lane(*place), g.lane_width(place.host) / 2.0 + 2.0);
            html! { line class="tick" x1=(px(x - half)) x2=(px(x + half)) y1=(px(y)) y2=(px(y)) {} }
        }
        Item::Process { lifeline, transition, .. } => {
            transited(g, y, &g.ladder.lifelines[*lifeline], *transition)
        }
        Item::Verdict { verdict, .. } => html! {
            rect class={ "moment " (verdict) } x=(px(g.hosts[0].0 - 6.0)) y=(px(g.tops[row] + 1.0)) rx="3"
                width=(px(g.width - g.hosts[0].0 + 4.0)) height=(px(g.tops[row + 1] - g.tops[row] - 2.0)) {}
        },
        Item::Note { .. } | Item::Unseen { .. } => html! {},
    }
}

/// An arrow from lane to lane that falls a little, as time passes; that of a reset ends in a cross, since
/// a reset aborts the connection.
fn arrow(g: &Geometry, row: usize, packet: &Packet, from: Place, to: Place) -> Markup {
    let direction = if g.lane(to) > g.lane(from) { 1.0 } else { -1.0 };
    let x1 = g.lane(from) + direction * (g.lane_width(from.host) / 2.0 + 1.0);
    let x2 = g.lane(to) - direction * (g.lane_width(to.host) / 2.0 + 1.0);
    let bottom = g.tops[row + 1];
    let (y1, y2) = (bottom - 9.0, bottom - 5.0);
    let kind = arrow_class(packet);
    let head = 7.0;
    html! {
        g class={ "packet " (kind) } {
            title { (visible(&packet.line)) }
            line x1=(px(x1)) y1=(px(y1)) x2=(px(x2 - direction * head / 2.0)) y2=(px(y2)) {}
            @if kind == "rst" {
                path class="cross" d={ "M" (px(x2 - 4.0 - direction * 4.0)) " " (px(y2 - 4.0)) "l8 8m0 -8l-8 8" } {}
            } @else {
                path class="head" d={ "M" (px(x2)) " " (px(y2)) "l" (px(-direction * head)) " -3.5v7z" } {}
            }
        }
    }
}

/// What the packet does, the most significant first.
pub fn arrow_class(packet: &Packet) -> &'static str {
    if packet.flags.has(Flags::RST) {
        "rst"
    } else if packet.flags.has(Flags::SYN) {
        "syn"
    } else if packet.flags.has(Flags::FIN) {
        "fin"
    } else if packet.len > 0 {
        "data"
    } else {
        "ack"
    }
}

fn transited(g: &Geometry, y: f64, line: &Lifeline, transition: Transition) -> Markup {
    let x = g.lifeline(line.lane);
    let (labels, rightwards) = g.lifeline_labels();
    let labels = if rightwards { labels - 3.0 } else { labels + 2.0 };
    html! {
        line class="leader" x1=(px(x)) x2=(px(labels)) y1=(px(y)) y2=(px(y)) {}
        @match transition {
            Transition::Born => {
                @if let Some(parent) = line.parent {
                    line class="life" x1=(px(g.lifeline(g.ladder.lifelines[parent].lane))) x2=(px(x)) y1=(px(y)) y2=(px(y)) {}
                }
                circle class="born" cx=(px(x)) cy=(px(y)) r="3.5" {}
            }
            Transition::Ended => path class="cross" d={ "M" (px(x - 4.0)) " " (px(y - 4.0)) "l8 8m0 -8l-8 8" } {},
            Transition::Signaled => path class="signal" d={ "M" (px(x)) " " (px(y - 6.0)) "l5 6l-5 6l-5 -6z" } {},
            Transition::Changed => line class="tick" x1=(px(x - 5.0)) x2=(px(x + 5.0)) y1=(px(y)) y2=(px(y)) {},
        }
    }
}

/// A number with one decimal at most.
pub fn px(n: f64) -> String {
    let text = format!("{n:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
