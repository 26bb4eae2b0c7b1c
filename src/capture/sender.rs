//! One side's sequence numbers (RFC 9293, 3.4), which wrap around.

use std::mem;

use super::{Flags, Novelty, Segment};
use crate::observer::protocol::Nanos;

/// How many gaps are remembered; a stream that has more is not worth telling apart.
const GAPS: usize = 32;

/// How soon what fills a gap was only overtaken, where the connection's round-trip time is not known.
const REORDERING: Nanos = 3_000_000;
/// How many duplicate acknowledgments ask for what comes next. RFC 5681 waits for three, but one of them may have
/// been lost before the wire that is watched.
const REPEATS: u8 = 2;

/// Whether sequence number `a` comes after `b`.
pub(super) fn after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

/// What is known of one side from what it sent, and from what was acknowledged to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    /// The interface that saw its latest news. The same passes others too where a lab has a router.
    pub interface: Option<u32>,
    /// The number of its SYN; without one, the number before the first that was seen.
    pub base: Option<u32>,
    /// Whether its SYN was seen, and when last.
    pub syn: Option<Nanos>,
    /// The number after the highest that it sent.
    next: Option<u32>,
    /// The number after the highest that was acknowledged to it.
    acked: Option<u32>,
    /// The number after its FIN.
    fin: Option<u32>,
    /// The last window it offered.
    window: u16,
    /// How often its peer acknowledged the same again, asking for what comes next.
    repeats: u8,
    /// What was skipped so far.
    gaps: Vec<Gap>,
}

/// Sequence numbers that were skipped.
#[derive(Clone, Copy, Debug)]
struct Gap {
    from: u32,
    /// The number after the last.
    to: u32,
    /// When they were skipped.
    since: Nanos,
}

impl Sender {
    /// Takes note of a segment that this side sent; `peer_window` is what its peer offered last.
    /// `rtt` is the connection's round-trip time. Gives how many bytes of data in it had not passed before.
    pub fn send(&mut self, segment: &Segment<'_>, peer_window: u16, rtt: Option<Nanos>) -> (Novelty, u32) {
        self.window = segment.window;
        if segment.flags.has(Flags::RST) {
            return (Novelty::New, 0);
        }
        let syn = segment.flags.has(Flags::SYN);
        let base = if syn { segment.seq } else { segment.seq.wrapping_sub(1) };
        if syn {
            if self.base.is_some_and(|old| old != base) {
                *self = Self { interface: self.interface, window: self.window, ..Self::default() };
            }
            self.syn = Some(segment.at);
        }
        self.base.get_or_insert(base);
        let end = segment.seq.wrapping_add(segment.seq_len());
        if segment.flags.has(Flags::FIN) {
            self.fin.get_or_insert(end);
        }
        let Some(next) = self.next else {
            self.next = Some(end);
            return (Novelty::New, segment.len);
        };
        let asks = segment.len <= 1 && segment.seq == next.wrapping_sub(1) && self.acked == Some(next);
        if asks && !segment.flags.any(Flags::SYN | Flags::FIN) {
            return (if peer_window == 0 { Novelty::WindowProbe } else { Novelty::KeepAlive }, 0);
        }
        self.extend(next, segment, end, rtt.unwrap_or(REORDERING))
    }

    /// Moves `next` over the segment's sequence numbers, the last of which is before `end`.
    fn extend(&mut self, next: u32, segment: &Segment<'_>, end: u32, rtt: Nanos) -> (Novelty, u32) {
        let (seq, len) = (segment.seq, segment.len);
        if seq == end {
            return (Novelty::New, 0);
        }
        let is_further = after(end, next);
        if is_further {
            self.next = Some(end);
        }
        if seq == next {
            return (Novelty::New, len);
        }
        if after(seq, next) {
            if self.gaps.len() < GAPS {
                self.gaps.push(Gap { from: next, to: seq, since: segment.at });
            }
            return (Novelty::New, len);
        }
        let (filled, since) = self.fill(seq, end);
        let beyond = if is_further { end.wrapping_sub(next) } else { 0 };
        let fresh = filled.saturating_add(beyond).min(len);
        // Nobody can know of a loss and send again sooner than after a round trip.
        let overtaken = since.is_some_and(|since| segment.at.saturating_sub(since) < rtt);
        let asked_for = self.repeats >= REPEATS && self.acked == Some(seq);
        (if overtaken && !asked_for { Novelty::OutOfOrder } else { Novelty::Retransmission }, fresh)
    }

    /// Takes the numbers from `seq` to before `end` out of the gaps. Gives how many of them were in one, and
    /// since when the first of those gaps was there.
    fn fill(&mut self, seq: u32, end: u32) -> (u32, Option<Nanos>) {
        let (mut filled, mut first) = (0, None);
        for gap in mem::take(&mut self.gaps) {
            if !after(end, gap.from) || !after(gap.to, seq) {
                self.gaps.push(gap);
                continue;
            }
            let from = if after(seq, gap.from) { seq } else { gap.from };
            let to = if after(gap.to, end) { end } else { gap.to };
            filled += to.wrapping_sub(from);
            first = Some(first.map_or(gap.since, |first: Nanos| first.min(gap.since)));
            if from != gap.from {
                self.gaps.push(Gap { to: from, ..gap });
            }
            if to != gap.to {
                self.gaps.push(Gap { from: to, ..gap });
            }
        }
        (filled, first)
    }

    /// Takes note of an acknowledgment that this side got; says whether it is the first of its FIN.
    pub fn acknowledge(&mut self, segment: &Segment<'_>) -> bool {
        let ack = segment.ack;
        if self.acked == Some(ack)
            && segment.len == 0
            && !segment.flags.any(Flags::SYN | Flags::FIN | Flags::RST)
        {
            self.repeats = self.repeats.saturating_add(1);
        }
        self.base.get_or_insert(ack.wrapping_sub(1));
        let news = self.acked.is_none_or(|acked| after(ack, acked));
        // What was never sent cannot be acknowledged: such a number is of an earlier connection.
        if !news || self.next.is_some_and(|next| after(ack, next)) {
            return false;
        }
        let had_fin = self.fin_acked();
        self.acked = Some(ack);
        self.repeats = 0;
        self.fin_acked() && !had_fin
    }

    /// Whether everything in the segment was seen before.
    pub fn has_sent(&self, segment: &Segment<'_>) -> bool {
        let end = segment.seq.wrapping_add(segment.seq_len());
        let is_other = segment.flags.has(Flags::SYN) && self.base != Some(segment.seq);
        !is_other && self.next.is_some_and(|next| !after(end, next))
    }

    /// Whether the segment, sent to this side, acknowledges what none did before.
    pub fn has_news(&self, segment: &Segment<'_>) -> bool {
        segment.flags.has(Flags::ACK) && self.acked.is_none_or(|acked| after(segment.ack, acked))
    }

    /// The window it offered last.
    pub fn window(&self) -> u16 {
        self.window
    }

    /// Whether its FIN was seen.
    pub fn has_fin(&self) -> bool {
        self.fin.is_some()
    }

    /// Whether its SYN was seen and acknowledged.
    pub fn syn_acked(&self) -> bool {
        self.syn.is_some() && self.base.zip(self.acked).is_some_and(|(base, acked)| after(acked, base))
    }

    /// Whether its FIN was seen and acknowledged.
    pub fn fin_acked(&self) -> bool {
        self.fin.zip(self.acked).is_some_and(|(fin, acked)| !after(fin, acked))
    }

    /// A sequence number counted from its SYN, which is 0.
    pub fn relative(&self, seq: u32) -> u32 {
        self.base.map_or(seq, |base| seq.wrapping_sub(base))
    }
}
