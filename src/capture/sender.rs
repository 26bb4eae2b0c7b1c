//! One side's sequence numbers (RFC 9293, 3.4), which wrap around.

use std::mem;

use super::{Flags, Novelty, Segment};
use crate::observer::protocol::Nanos;

/// How many gaps are remembered; a stream that has more is not worth telling apart.
const GAPS: usize = 32;

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
    /// What was skipped so far, as (first, after the last).
    gaps: Vec<(u32, u32)>,
}

impl Sender {
    /// Takes note of a segment that this side sent; `peer_window` is what its peer offered last.
    /// Gives how many bytes of data in it had not passed before.
    pub fn send(&mut self, segment: &Segment<'_>, peer_window: u16) -> (Novelty, u32) {
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
        let novelty = self.extend(next, segment.seq, end);
        let fresh = match novelty {
            Novelty::Retransmission if after(end, next) => end.wrapping_sub(next).min(segment.len),
            Novelty::Retransmission => 0,
            _ => segment.len,
        };
        (novelty, fresh)
    }

    /// Moves `next` over the sequence numbers from `seq` to before `end`.
    fn extend(&mut self, next: u32, seq: u32, end: u32) -> Novelty {
        if seq == end {
            return Novelty::New;
        }
        if after(end, next) {
            self.next = Some(end);
        }
        if seq == next {
            return Novelty::New;
        }
        if after(seq, next) {
            if self.gaps.len() < GAPS {
                self.gaps.push((next, seq));
            }
            return Novelty::New;
        }
        if self.fill(seq, end) { Novelty::OutOfOrder } else { Novelty::Retransmission }
    }

    /// Takes the numbers from `seq` to before `end` out of the gaps; says whether any was in one.
    fn fill(&mut self, seq: u32, end: u32) -> bool {
        let mut filled = false;
        for (from, to) in mem::take(&mut self.gaps) {
            if !after(end, from) || !after(to, seq) {
                self.gaps.push((from, to));
                continue;
            }
            filled = true;
            if after(seq, from) {
                self.gaps.push((from, seq));
            }
            if after(to, end) {
                self.gaps.push((end, to));
            }
        }
        filled
    }

    /// Takes note of an acknowledgment that this side got; says whether it is the first of its FIN.
    pub fn acknowledge(&mut self, ack: u32) -> bool {
        self.base.get_or_insert(ack.wrapping_sub(1));
        let news = self.acked.is_none_or(|acked| after(ack, acked));
        // What was never sent cannot be acknowledged: such a number is of an earlier connection.
        if !news || self.next.is_some_and(|next| after(ack, next)) {
            return false;
        }
        let had_fin = self.fin_acked();
        self.acked = Some(ack);
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
