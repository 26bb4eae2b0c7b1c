//! Writes connections as a table, row by row, so that millions need no more memory than one.

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
/// Whether each column holds numbers.
const RIGHT: [bool; COLUMNS] = [false, false, true, true, false, false, true, true, true, true];
type Count = fn(&Flow) -> u64;
/// Columns that are only shown if anything was counted, and what they count.
const OPTIONAL: [(usize, Count); 2] = [(7, |flow| flow.out_of_order), (8, |flow| flow.tunnelled)];
/// Spaces between two cells.
const BETWEEN: usize = 3;

/// Writes the first `most` connections, one line each, and then how many more there are.
pub fn write(
    out: &mut impl Write,
    conversations: &Conversations,
    names: &Names,
    most: usize,
) -> io::Result<()> {
    let all = || conversations.iter().take(most);
    let needed = OPTIONAL.map(|(_, count)| all().any(|conversation| of_both(&conversation, count) > 0));
    let left_out = |n| OPTIONAL.iter().zip(needed).any(|((column, _), needed)| *column == n && !needed);
    let mut widths = HEADING.map(UnicodeWidthStr::width);
    for conversation in all() {
        for (width, cell) in widths.iter_mut().zip(cells(&conversation, names)) {
            *width = cell.width().max(*width);
        }
    }
    let columns: Vec<_> = (0..COLUMNS).filter(|n| !left_out(*n)).map(|n| (n, widths[n])).collect();
    line(out, &HEADING, &columns)?;
    let total: usize = columns.iter().map(|(_, width)| width + BETWEEN).sum();
    writeln!(out, "{}", "─".repeat(total + 1))?;
    for conversation in all() {
        line(out, &cells(&conversation, names), &columns)?;
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

fn cells(conversation: &Conversation, names: &Names) -> [String; COLUMNS] {
    [
        names.endpoint(conversation.client),
        names.endpoint(conversation.server),
        conversation.packets.to_string(),
        conversation.bytes.to_string(),
        conversation.opening.to_string(),
        close(conversation),
        conversation.retransmissions.to_string(),
        of_both(conversation, OPTIONAL[0].1).to_string(),
        of_both(conversation, OPTIONAL[1].1).to_string(),
        conversation.rtt_ns.map_or_else(|| "-".into(), milliseconds),
    ]
}

/// Describes how it closed and who closed first, e.g. `fin by client`.
fn close(conversation: &Conversation) -> String {
    match (conversation.close, conversation.rst_by, conversation.fin_by) {
        (Close::Rst, Some(by), _) | (Close::Fin, _, Some(by)) => format!("{} by {by}", conversation.close),
        (Close::Open, _, Some(by)) => format!("open, fin by {by}"),
        _ => conversation.close.to_string(),
    }
}

fn of_both(conversation: &Conversation, count: Count) -> u64 {
    count(&conversation.to_server) + count(&conversation.to_client)
}

fn milliseconds(time: Nanos) -> String {
    format!("{}.{:03} ms", time / 1_000_000, time / 1000 % 1000)
}
