//! The labels in the picture, each with its place: what a row shows, when, and the names of the columns.

#[cfg(test)]
use super::geometry::text_width;
use super::{
    anchors::{EVERYTHING, check_id},
    geometry::{BOLD, Geometry, fit, number},
    sign,
};
use crate::{
    report::ladder::{Item, NoteKind, Place, Side},
    time::Nanos,
    timeline::Packet,
};

/// A label at a place.
#[derive(Clone, Debug)]
pub struct Label {
    pub x: f64,
    /// The height of the baseline.
    pub y: f64,
    pub anchor: Anchor,
    pub class: &'static str,
    pub text: String,
    /// The full text, where `text` was cut.
    pub full: Option<String>,
    /// The id of the target it links to.
    pub leads_to: Option<String>,
}

/// Which end of the text is at the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Label {
    fn new(x: f64, y: f64, anchor: Anchor, class: &'static str, text: impl Into<String>) -> Self {
        Self { x, y, anchor, class, text: text.into(), full: None, leads_to: None }
    }

    fn cut(mut self, room: f64, font: f64) -> Self {
        let short = fit(&self.text, room, font);
        if short != self.text {
            self.full = Some(std::mem::replace(&mut self.text, short));
        }
        self
    }

    /// Roughly where it begins and ends.
    #[cfg(test)]
    pub fn extent(&self, font: f64) -> (f64, f64) {
        let width = text_width(&self.text, font);
        match self.anchor {
            Anchor::Start => (self.x, self.x + width),
            Anchor::Middle => (self.x - width / 2.0, self.x + width / 2.0),
            Anchor::End => (self.x - width, self.x),
        }
    }
}

/// Every label of the picture.
pub fn labels(g: &Geometry) -> Vec<Label> {
    let mut labels = headings(g);
    let mut last = String::new();
    for (row, content) in g.ladder.rows.iter().enumerate() {
        for item in &content.items {
            labels.extend(words(g, row, item));
        }
        let fills_row = content.items.iter().any(|i| matches!(i, Item::Step { .. } | Item::Wait { .. }));
        let time = clock(content.at);
        if !fills_row && time != last {
            labels.push(Label::new(g.hosts[0].0 - 8.0, base(g, row), Anchor::End, "time", time.clone()));
            last = time;
        }
    }
    labels
}

/// The hosts' names, above and below the picture.
fn headings(g: &Geometry) -> Vec<Label> {
    let font = g.measures.font;
    let below = g.tops[g.tops.len() - 1] + font * 1.6;
    let mut labels = vec![Label::new(g.hosts[0].0 - 8.0, font * 1.4, Anchor::End, "time", "ms")];
    for (i, (column, (left, right))) in g.ladder.hosts.iter().zip(&g.hosts).enumerate() {
        // The first host's name may be wider than the room to its left.
        let (x, anchor) =
            if i == 0 { (*left, Anchor::Start) } else { (f64::midpoint(*left, *right), Anchor::Middle) };
        for y in [font * 1.4, below] {
            labels.push(Label::new(x, y, anchor, "name", column.name.clone()));
        }
        if let Some(address) = &column.address {
            labels.push(Label::new(x, font * 2.7, anchor, "time", address.clone()));
        }
    }
    if g.ladder.lifeline_lanes > 0 {
        labels.push(Label::new(g.lifelines, font * 1.4, Anchor::Start, "name", g.measures.heading()));
    }
    labels
}

fn words(g: &Geometry, row: usize, item: &Item) -> Vec<Label> {
    let font = g.measures.font;
    let y = base(g, row);
    match item {
        Item::Step { number: count, text } => {
            let lines = g.step_lines(*count, text);
            let top = g.tops[row] + font * 2.0;
            let line = |(i, line): (usize, String)| {
                Label::new(0.0, top + number(i) * font * 1.35, Anchor::Start, "step", line)
            };
            lines.into_iter().enumerate().map(line).collect()
        }
        Item::Wait { idle } => {
            vec![Label::new(g.hosts[0].0 - 8.0, y, Anchor::End, "note wait", wait(*idle))]
        }
        Item::Arrow { packet, from, to } => {
            let middle = f64::midpoint(arrow_edge(g, *from, *to), arrow_edge(g, *to, *from));
            let y = g.tops[row + 1] - 12.0;
            vec![Label::new(middle, y, Anchor::Middle, "flags", flags(packet))]
        }
        Item::Bulk { from, to, packets, bytes, lines } => {
            let middle = f64::midpoint(arrow_edge(g, *from, *to), arrow_edge(g, *to, *from));
            let room = (arrow_edge(g, *from, *to) - arrow_edge(g, *to, *from)).abs() - 6.0;
            let label = Label::new(middle, y, Anchor::Middle, "note", bulk(*packets, *bytes, *lines));
            vec![label.cut(room, font)]
        }
        Item::Verdict { check, verdict, text } => {
            let label =
                Label::new(g.hosts[0].0, y, Anchor::Start, "moment", format!("{} {text}", sign(*verdict)));
            let mut label = label.cut(g.width - g.hosts[0].0, font * BOLD);
            label.leads_to = Some(check_id(check));
            vec![label]
        }
        Item::Unseen { .. } => Vec::new(),
        Item::Socket { place, side, text, .. } => vec![beside(g, *place, *side, y, "socket", text)],
        Item::Note { place, side, kind, text } => {
            let class = match kind {
                NoteKind::Input => "note input",
                NoteKind::Output => "note output",
                NoteKind::Remark => "note",
                NoteKind::Look => "note look",
                NoteKind::More => "note more",
            };
            let mut label = beside(g, *place, *side, y, class, text);
            label.leads_to = (*kind == NoteKind::More).then(|| EVERYTHING.to_owned());
            vec![label]
        }
        Item::Process { text, .. } => {
            let (x, rightwards) = g.lifeline_labels();
            let (anchor, room) =
                if rightwards { (Anchor::Start, g.width - x) } else { (Anchor::End, x - g.hosts[0].0) };
            vec![Label::new(x, y, anchor, "process", text).cut(room, font)]
        }
    }
}

/// The edge of the sender's or receiver's host that faces the other one.
fn arrow_edge(g: &Geometry, of: Place, other: Place) -> f64 {
    let (left, right) = g.hosts[of.host];
    if other.host > of.host { right } else { left }
}

fn beside(g: &Geometry, place: Place, side: Side, y: f64, class: &'static str, text: &str) -> Label {
    let (x, room) = g.beside(place.host, side);
    let anchor = if side == Side::Left { Anchor::End } else { Anchor::Start };
    Label::new(x, y, anchor, class, text).cut(room, g.measures.font)
}

/// The baseline of text in the middle of a row.
fn base(g: &Geometry, row: usize) -> f64 {
    g.middle(row) + g.measures.font * 0.36
}

/// The label of what was folded.
pub fn bulk(packets: usize, bytes: u64, lines: usize) -> String {
    let lines = if lines > 0 { format!(", {lines} lines printed") } else { String::new() };
    format!("… {packets} packets, {bytes} B{lines}")
}

/// A packet's control bits and length.
pub fn flags(packet: &Packet) -> String {
    let len = if packet.len > 0 { format!(" · {} B", packet.len) } else { String::new() };
    let again = if packet.retransmission { " · again" } else { "" };
    format!("{}{len}{again}", packet.flags)
}

/// Milliseconds since the run began.
pub fn clock(at: Nanos) -> String {
    format!("{}.{}", at / 1_000_000, at / 100_000 % 10)
}

/// How long a wait was.
fn wait(idle: Nanos) -> String {
    match idle / 1_000_000 {
        ms @ 0..1000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1000, ms / 100 % 10),
    }
}
