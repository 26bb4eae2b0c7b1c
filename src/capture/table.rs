//! Connections as a table. It is written row by row, so that millions need no more memory than one.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{Close, Conversation, Conversations, Flow, Names};
use crate::time::Nanos;

const HEADING: [&str; COLUMNS] = [
    "client",
    "server",
    "packets",
    "bytes",
    "handshake",
    "close",
    "retransmissions",
    "out of order",
    "in a tunnel",
    "RTT",
];
const COLUMNS: usize = 10;
/// Columns of numbers.
const RIGHT: [bool; COLUMNS] = [false, false, true, true, false, false, true, true, true, true];
type Count = fn(&Flow) -> u64;
/// Columns that are only there where there is any: what they count.
const OPTIONAL: [(usize, Count); 2] = [(7, |flow| flow.out_of_order), (8, |flow| flow.tunnelled)];
/// Columns between two cells.
const BETWEEN: usize = 3;

/// Writes the first `most` connections, a line each, and then how many more there are.
pub fn write(
    out: &mut impl Write,
    conversations: &Conversations,
    names: &Names,
    most: usize,
) -> io::Result<()> {
    let all = || conversations.iter().take(most);
    let needed = OPTIONAL.map(|(_, count)| all().any(|told| of_both(&told, count) > 0));
    let left_out = |n| OPTIONAL.iter().zip(needed).any(|((column, _), needed)| *column == n && !needed);
    let mut widths = HEADING.map(UnicodeWidthStr::width);
    for told in all() {
        for (width, cell) in widths.iter_mut().zip(cells(&told, names)) {
            *width = cell.width().max(*width);
        }
    }
    let columns: Vec<_> = (0..COLUMNS).filter(|n| !left_out(*n)).map(|n| (n, widths[n])).collect();
    line(out, &HEADING, &columns)?;
    let total: usize = columns.iter().map(|(_, width)| width + BETWEEN).sum();
    writeln!(out, "{}", "─".repeat(total + 1))?;
    for told in all() {
        line(out, &cells(&told, names), &columns)?;
    }
    match conversations.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "… and {more} more"),
    }
}

fn line(out: &mut impl Write, cells: &[impl AsRef<str>], columns: &[(usize, usize)]) -> io::Result<()> {
    let mut line = String::new();
    for (n, width) in columns {
        let cell = cells[*n].as_ref();
        let room = " ".repeat(width - cell.width());
        line += if line.is_empty() { "  " } else { "   " };
        line += &if RIGHT[*n] { room + cell } else { cell.to_owned() + &room };
    }
    writeln!(out, "{}", line.trim_end())
}

fn cells(told: &Conversation, names: &Names) -> [String; COLUMNS] {
    [
        names.endpoint(told.client),
        names.endpoint(told.server),
        told.packets.to_string(),
        told.bytes.to_string(),
        told.opening.to_string(),
        close(told),
        told.retransmissions.to_string(),
        of_both(told, OPTIONAL[0].1).to_string(),
        of_both(told, OPTIONAL[1].1).to_string(),
        told.rtt_ns.map_or_else(|| "-".into(), milliseconds),
    ]
}

/// How it closed and by whom first: `fin by client`.
fn close(told: &Conversation) -> String {
    match (told.close, told.rst_by, told.fin_by) {
        (Close::Rst, Some(by), _) | (Close::Fin, _, Some(by)) => format!("{} by {by}", told.close),
        (Close::Open, _, Some(by)) => format!("open, fin by {by}"),
        _ => told.close.to_string(),
    }
}

fn of_both(told: &Conversation, count: Count) -> u64 {
    count(&told.to_server) + count(&told.to_client)
}

fn milliseconds(time: Nanos) -> String {
    format!("{}.{:03} ms", time / 1_000_000, time / 1000 % 1000)
}
