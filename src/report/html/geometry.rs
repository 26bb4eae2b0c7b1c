//! Where the ladder's rows and lanes are in a picture, in pixels at its natural size.

use crate::report::ladder::{Density, Item, Ladder, Place, Row, Side};

/// The measures of a drawing.
#[derive(Clone, Copy, Debug)]
pub struct Measures {
    /// How densely its ladder is packed.
    pub density: Density,
    /// The font size.
    pub font: f64,
    /// The width of the time axis.
    axis: f64,
    /// The distance between two hosts.
    gutter: f64,
    /// The distance between two sockets of a host.
    lane: f64,
    /// The distance between two processes.
    lifeline: f64,
    /// The width of the labels to the right of the processes; 0 if they are on the left.
    labels: f64,
}

/// For a screen, a projector, or paper.
pub const WIDE: Measures = Measures {
    density: Density::Shared,
    font: 12.0,
    axis: 58.0,
    gutter: 272.0,
    lane: 15.0,
    lifeline: 20.0,
    labels: 158.0,
};

/// For a phone: the labels of processes are to their left.
pub const NARROW: Measures = Measures {
    density: Density::Single,
    font: 11.5,
    axis: 60.0,
    gutter: 116.0,
    lane: 10.0,
    lifeline: 11.0,
    labels: 0.0,
};

impl Measures {
    /// The heading of the processes' column.
    pub fn heading(&self) -> &'static str {
        if self.labels > 0.0 { "processes" } else { "pids" }
    }
}

/// The font size of column names, relative to other text.
pub const NAME: f64 = 1.1;

/// The width of headings, relative to other text.
pub const BOLD: f64 = 1.25;

/// Lanes move closer together where they would be wider than this many lanes, but never closer than `CLOSEST`
/// pixels.
const LANES_AT_FULL_WIDTH: f64 = 6.0;
const CLOSEST: f64 = 5.0;

/// The positions of a ladder's parts in a picture.
pub struct Geometry<'l> {
    pub ladder: &'l Ladder,
    pub measures: Measures,
    /// Each host's left and right edge.
    pub hosts: Vec<(f64, f64)>,
    /// The left edge of the processes.
    pub lifelines: f64,
    /// Each row's top, and the end of the last row.
    pub tops: Vec<f64>,
    pub width: f64,
    pub height: f64,
}

impl<'l> Geometry<'l> {
    /// Lays out a ladder.
    pub fn new(ladder: &'l Ladder, measures: Measures) -> Self {
        let mut x = measures.axis;
        let mut hosts = Vec::new();
        for column in &ladder.hosts {
            let width = span(column.lanes, measures.lane) + 4.0;
            hosts.push((x, x + width));
            x += width + measures.gutter;
        }
        if ladder.hosts.len() > 1 {
            x -= measures.gutter - measures.lane;
        }
        let lifelines = x + measures.lane * 1.5;
        if ladder.lifeline_lanes > 0 {
            let heading = text_width(measures.heading(), measures.font * NAME);
            x = lifelines + (lifelines_width(ladder, measures) + measures.labels).max(heading);
        }
        let mut this =
            Self { ladder, measures, hosts, lifelines, tops: Vec::new(), width: x + 4.0, height: 0.0 };
        let mut y = this.head();
        for row in &ladder.rows {
            this.tops.push(y);
            y += this.row_height(row);
        }
        this.tops.push(y);
        this.height = y + this.head();
        this
    }

    /// The height of the hosts' names.
    pub fn head(&self) -> f64 {
        self.measures.font * 3.4
    }

    fn row_height(&self, row: &Row) -> f64 {
        let font = self.measures.font;
        let height = |item: &Item| match item {
            Item::Step { number: count, text } => {
                number(self.step_lines(*count, text).len()) * font * 1.35 + font * 1.6
            }
            Item::Wait { .. } => font * 1.8,
            Item::Arrow { .. } | Item::Bulk { .. } => font * 1.85,
            Item::Verdict { .. } => font * 1.9,
            Item::Unseen { .. } => 0.0,
            _ => font * 1.35,
        };
        row.items.iter().map(height).fold(0.0, f64::max)
    }

    /// The height at which a row's contents are drawn: its middle.
    pub fn middle(&self, row: usize) -> f64 {
        let last = self.tops.len() - 1;
        match self.tops.get(row + 1) {
            Some(bottom) => f64::midpoint(self.tops[row], *bottom),
            None => self.tops[last],
        }
    }

    /// The middle of a lane.
    pub fn lane(&self, place: Place) -> f64 {
        let (left, right) = self.hosts[place.host];
        let pitch = (right - left - 4.0) / number(self.ladder.hosts[place.host].lanes);
        left + 2.0 + pitch * (number(place.lane) + 0.5)
    }

    /// The width at which a socket is drawn there.
    pub fn lane_width(&self, host: usize) -> f64 {
        let (left, right) = self.hosts[host];
        ((right - left - 4.0) / number(self.ladder.hosts[host].lanes) * 0.5).min(7.0)
    }

    /// The middle of a process's lane.
    pub fn lifeline(&self, lane: usize) -> f64 {
        let lanes = number(self.ladder.lifeline_lanes.max(1));
        self.lifelines + lifelines_width(self.ladder, self.measures) / lanes * (number(lane) + 0.5)
    }

    /// The width at which a zombie is drawn.
    pub fn lifeline_width(&self) -> f64 {
        let lanes = number(self.ladder.lifeline_lanes.max(1));
        (lifelines_width(self.ladder, self.measures) / lanes - 1.0).min(8.0)
    }

    /// Where the labels of processes begin, and whether they extend to the right from there.
    pub fn lifeline_labels(&self) -> (f64, bool) {
        if self.measures.labels > 0.0 {
            (self.lifelines + lifelines_width(self.ladder, self.measures) + 6.0, true)
        } else {
            (self.lifelines - 4.0, false)
        }
    }

    /// Where text beside a host begins, and how much room it has.
    pub fn beside(&self, host: usize, side: Side) -> (f64, f64) {
        let (left, right) = self.hosts[host];
        let alone = self.measures.density == Density::Single;
        match side {
            Side::Left if alone => (left - 5.0, left - 5.0 - self.measures.axis),
            Side::Left => (left - 5.0, self.measures.gutter - 10.0),
            Side::Right if alone => (right + 5.0, self.width - right - 5.0),
            Side::Right => (right + 5.0, self.measures.gutter - 10.0),
        }
    }

    /// A step's text, in lines that fit.
    pub fn step_lines(&self, number: usize, text: &str) -> Vec<String> {
        let font = self.measures.font * BOLD;
        let mut lines = Vec::new();
        let mut line = format!("{number}.");
        for word in text.split_whitespace() {
            let longer = format!("{line} {word}");
            if text_width(&longer, font) <= self.width {
                line = longer;
            } else {
                lines.push(std::mem::replace(&mut line, word.to_owned()));
            }
        }
        lines.push(line);
        lines
    }
}

/// The width of this many lanes.
fn span(lanes: usize, pitch: f64) -> f64 {
    let lanes = number(lanes);
    (lanes * pitch).min((LANES_AT_FULL_WIDTH * pitch).max(lanes * CLOSEST))
}

fn lifelines_width(ladder: &Ladder, measures: Measures) -> f64 {
    span(ladder.lifeline_lanes, measures.lifeline)
}

/// An estimate of the greatest width of a text, in a sans-serif font of that size.
pub fn text_width(text: &str, font: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')'
        | '·' => 0.37,
        'm' | 'w' | 'M' | 'W' | '…' | '→' | '%' | '@' => 0.95,
        'a'..='z' | '0'..='9' => 0.6,
        c if u32::from(c) > 0x2e80 => 1.05,
        _ => 0.7,
    };
    text.chars().map(em).sum::<f64>() * font
}

/// A text, cut if it would be wider than `room`.
pub fn fit(text: &str, room: f64, font: f64) -> String {
    if text_width(text, font) <= room {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if text_width(&cut, font) + font > room {
            cut.pop();
            break;
        }
    }
    cut + "…"
}

/// A count as a floating-point number, for layout.
pub fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
