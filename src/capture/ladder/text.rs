//! Draws a ladder in plain characters.

use std::fmt::Write as _;

use super::{Ladder, Rung};
use crate::capture::{Names, SeqAnalysis};

/// Columns for the time, and between the lines of two hosts.
const TIME: usize = 12;
const GAP: usize = 32;

/// The characters for drawing lines.
#[derive(Clone, Copy, Debug)]
pub struct Charset {
    line: char,
    shaft: char,
    again: char,
    right: char,
    left: char,
}

impl Charset {
    /// Box-drawing characters.
    pub const UNICODE: Self = Self { line: '│', shaft: '─', again: '╌', right: '▶', left: '◀' };
    /// ASCII, if those cannot be shown.
    pub const ASCII: Self = Self { line: '|', shaft: '-', again: '.', right: '>', left: '<' };
}

/// Draws a ladder: one line per arrow, and another below it if a state changes. Retransmissions are dashed.
pub fn draw(ladder: &Ladder, names: &Names, charset: Charset) -> String {
    let mut drawn = heads(ladder, names);
    let start = ladder.rungs.iter().map(|rung| rung.at).min().unwrap_or_default();
    let several = ladder.rungs.iter().any(|rung| rung.conversation != ladder.rungs[0].conversation);
    for rung in &ladder.rungs {
        let micros = rung.at.abs_diff(start) / 1000;
        let time = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        push(&mut drawn, &time, arrow(ladder.hosts.len(), rung, charset));
        if rung.from_state.is_some() || rung.to_state.is_some() {
            push(&mut drawn, "", states(ladder.hosts.len(), rung, several, charset));
        }
    }
    drawn
}

/// A row of characters, with the vertical lines of the hosts.
struct Row(Vec<char>);

impl Row {
    fn new(hosts: usize, charset: Charset) -> Self {
        let mut row = Self(vec![' '; hosts * GAP]);
        for host in 0..hosts {
            row.0[host * GAP] = charset.line;
        }
        row
    }

    /// Overwrites the row from `at`, and extends it if necessary.
    fn write(&mut self, at: usize, text: &str) {
        for (n, c) in text.chars().enumerate() {
            if self.0.len() <= at + n {
                self.0.push(' ');
            }
            self.0[at + n] = c;
        }
    }
}

fn push(drawn: &mut String, time: &str, row: Row) {
    let row: String = row.0.into_iter().collect();
    // Writing to a string cannot fail.
    let _ = writeln!(drawn, "{time:>TIME$}  {}", row.trim_end());
}

/// Returns the hosts' names, each above its line; a long one is cut before the next.
fn heads(ladder: &Ladder, names: &Names) -> String {
    let mut row = Row(Vec::new());
    for (n, host) in ladder.hosts.iter().enumerate() {
        row.0.resize(n * GAP, ' ');
        row.write(n * GAP, &names.host(*host).chars().take(GAP - 1).collect::<String>());
    }
    let mut drawn = String::new();
    push(&mut drawn, "", row);
    drawn
}

fn arrow(hosts: usize, rung: &Rung, charset: Charset) -> Row {
    let mut row = Row::new(hosts, charset);
    let label = match rung.analysis {
        SeqAnalysis::New | SeqAnalysis::Copy => rung.label.clone(),
        SeqAnalysis::Retransmission => format!("{} again", rung.label),
        SeqAnalysis::OutOfOrder => format!("{} late", rung.label),
        SeqAnalysis::KeepAlive => format!("{} keepalive", rung.label),
        SeqAnalysis::WindowProbe => format!("{} window probe", rung.label),
    };
    // A host may talk to itself.
    if rung.from == rung.to {
        row.write(rung.from * GAP + 2, &format!("{label} (to itself)"));
        return row;
    }
    let (first, last) = (rung.from.min(rung.to) * GAP + 1, rung.from.max(rung.to) * GAP - 1);
    let shaft = if rung.analysis == SeqAnalysis::Retransmission { charset.again } else { charset.shaft };
    row.0[first..=last].fill(shaft);
    if rung.to > rung.from {
        row.0[last] = charset.right;
    } else {
        row.0[first] = charset.left;
    }
    let room = GAP - 6;
    let label: String = label.chars().take(room).collect();
    row.write(first + (GAP - 1 - label.chars().count() - 2) / 2, &format!(" {label} "));
    row
}

/// Returns the states that changed, each to the right of its host's line.
fn states(hosts: usize, rung: &Rung, several: bool, charset: Charset) -> Row {
    let mut row = Row::new(hosts, charset);
    for (host, state) in [(rung.from, rung.from_state), (rung.to, rung.to_state)] {
        let Some(state) = state else { continue };
        let port = if several { format!(" ({})", rung.client_port) } else { String::new() };
        row.write(host * GAP + 2, &format!("{state}{port}"));
    }
    row
}
