//! Writes packets as lines of text in the style of tcpdump.

use std::fmt::Write as _;

use super::{Conversations, Flags, Frame, Names, Seen, Segment, SeqAnalysis, describe::describe};
use crate::time::Nanos;

/// How many characters of a packet's data a line shows.
const TEXT: usize = 40;

/// Turns packets into lines of text as they come, and follows their connections.
#[derive(Debug, Default)]
pub struct Lines {
    /// The names that stand for addresses.
    pub names: Names,
    /// The connections so far.
    pub conversations: Conversations,
    start: Option<Nanos>,
}

impl Lines {
    /// Starts with these names; times count from the first packet.
    pub fn new(names: Names) -> Self {
        Self { names, ..Self::default() }
    }

    /// Follows a TCP segment, and returns its line.
    pub fn segment(&mut self, segment: &Segment<'_>) -> String {
        let start = *self.start.get_or_insert(segment.at);
        let seen = self.conversations.push(segment);
        format!("{} {}", Elapsed { start, at: segment.at }, line(segment, &seen, &self.names))
    }

    /// Returns the line of a frame without a TCP segment.
    pub fn frame(&mut self, frame: &Frame<'_>) -> String {
        let start = *self.start.get_or_insert(frame.at);
        format!("{} {}", Elapsed { start, at: frame.at }, describe(frame, &self.names))
    }
}

/// Seconds since the first packet.
struct Elapsed {
    start: Nanos,
    at: Nanos,
}

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A capture of several interfaces may be out of order.
        let sign = if self.at < self.start { "-" } else { "" };
        let micros = self.at.abs_diff(self.start) / 1000;
        write!(f, "{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// Returns the line of a TCP segment without its time, e.g.
/// `client1.40312 > server.8007: Flags [S], seq 0, win 64240, length 0`. Numbers are relative to each side's SYN,
/// which is 0.
pub fn line(segment: &Segment<'_>, seen: &Seen, names: &Names) -> String {
    let mut line = format!(
        "{} > {}: Flags [{}]",
        names.endpoint(segment.src),
        names.endpoint(segment.dst),
        segment.flags.letters()
    );
    // Writing to a string cannot fail.
    if segment.len > 0 {
        let _ = write!(line, ", seq {}:{}", seen.seq, seen.seq.wrapping_add(segment.len));
    } else if segment.flags.any(Flags::SYN | Flags::FIN | Flags::RST) {
        let _ = write!(line, ", seq {}", seen.seq);
    }
    if segment.flags.has(Flags::ACK) {
        let _ = write!(line, ", ack {}", seen.ack);
    }
    let _ = write!(line, ", win {}, length {}", segment.window, segment.len);
    if !segment.payload.is_empty() {
        let _ = write!(line, ": {}", text(&segment.payload));
    }
    if segment.tunnels > 0 {
        line += " [in a tunnel]";
    }
    line + match seen.analysis {
        SeqAnalysis::New => "",
        SeqAnalysis::Retransmission => " [retransmission]",
        SeqAnalysis::OutOfOrder => " [out of order]",
        SeqAnalysis::KeepAlive => " [keepalive]",
        SeqAnalysis::WindowProbe => " [window probe]",
        SeqAnalysis::Copy => " [same packet, other interface]",
    }
}

/// Returns the beginning of some data in quotes, with terminal controls escaped.
pub fn text(data: &[u8]) -> String {
    let mut text = String::from("\"");
    let mut left = TEXT;
    for chunk in data[..data.len().min(4 * TEXT)].utf8_chunks() {
        for c in chunk.valid().chars().take(left) {
            left -= 1;
            if c == '\'' { text.push(c) } else { text.extend(c.escape_debug()) }
        }
        for byte in chunk.invalid().iter().take(left) {
            left -= 1;
            let _ = write!(text, "\\x{byte:02x}");
        }
        if left == 0 {
            break;
        }
    }
    let shown_all = left > 0 || data.len() <= TEXT;
    text + if shown_all { "\"" } else { "\"…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_quoted_and_harmless() {
        assert_eq!(text(b"hola\r\n"), r#""hola\r\n""#);
        assert_eq!(text("¿qué? it's".as_bytes()), "\"¿qué? it's\"");
        assert_eq!(text(b"\x1b[2J\xff\0\"\\"), r#""\u{1b}[2J\xff\0\"\\""#);
        assert_eq!(text("\u{202e}\u{9b}31m".as_bytes()), r#""\u{202e}\u{9b}31m""#);
        assert_eq!(text(&[b'a'; 50]), format!("\"{}\"…", "a".repeat(40)));
        assert_eq!(text(&[b'a'; 40]), format!("\"{}\"", "a".repeat(40)));
        assert_eq!(text("é".repeat(41).as_bytes()), format!("\"{}\"…", "é".repeat(40)));
    }

    #[test]
    fn time_may_run_backwards() {
        assert_eq!(Elapsed { start: 5_000_000, at: 1_000_000 }.to_string(), "-0.004000");
        assert_eq!(Elapsed { start: 0, at: 61_000_002_999 }.to_string(), "61.000002");
    }
}
