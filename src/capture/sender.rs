//! One side of a connection: what it sent, and its sequence numbers, which wrap around (RFC 9293, 3.4).

use super::{Flags, Flow, Segment, SeqAnalysis, gaps::Gaps, segment::Place};
use crate::time::Nanos;

/// What fills a gap within this time was only out of order, if the connection's round-trip time is not known.
const REORDERING: Nanos = 3_000_000;
/// How many duplicate acknowledgments count as a request for retransmission. RFC 5681 waits for three, but one of them
/// may have been lost before the watched wire.
const REPEATS: u8 = 2;

/// Returns whether sequence number `a` comes after `b`.
pub(super) fn after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

/// What is known about one side, from what it sent and from what was acknowledged to it. A capture may have millions,
/// so what most of them do not need is boxed.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    packets: u64,
    bytes: u64,
    payload: u64,
    rest: Option<Box<Rest>>,
    /// Where its latest news was seen. In a lab with a router or a tunnel, the same packet passes several places.
    place: Option<Place>,
    /// The number of its SYN; without one, the number before the first seen.
    base: Option<u32>,
    /// The number after the highest it sent.
    next: Option<u32>,
    /// The number after the highest acknowledged to it.
    acked: Option<u32>,
    /// The number after its FIN.
    fin: Option<u32>,
    /// The last window it offered.
    window: u16,
    /// How often its peer repeated the same acknowledgment, asking for what comes next.
    repeats: u8,
    /// Whether its SYN was seen.
    syn: bool,
    /// Whether `next` only comes from a segment without data and SYN; that of a keepalive is one too low.
    is_guess: bool,
}

/// The fields that few connections need.
#[derive(Clone, Debug, Default)]
struct Rest {
    gaps: Gaps,
    /// The number of another SYN, which may be the one that its peer accepts.
    other_syn: Option<u32>,
    retransmissions: u64,
    out_of_order: u64,
    keepalives: u64,
    window_probes: u64,
    copies: u64,
    tunnelled: u64,
}

impl Sender {
    /// Follows a TCP segment that this side sent. `rtt` is the connection's round-trip time.
    pub fn send(&mut self, segment: &Segment<'_>, peer: &Self, rtt: Option<Nanos>) -> SeqAnalysis {
        self.place = Some(segment.place());
        let (analysis, fresh) = self.follow(segment, peer, rtt);
        self.payload += u64::from(fresh);
        self.count(analysis);
        analysis
    }

    /// Counts one of its packets.
    pub fn pass(&mut self, segment: &Segment<'_>) {
        self.packets += 1;
        self.bytes += u64::from(segment.frame_len);
        if segment.tunnels > 0 {
            self.rest.get_or_insert_default().tunnelled += 1;
        }
    }

    /// Counts a TCP segment that brought nothing new.
    pub fn count(&mut self, analysis: SeqAnalysis) {
        if analysis == SeqAnalysis::New {
            return;
        }
        let rest = self.rest.get_or_insert_default();
        match analysis {
            SeqAnalysis::New => {}
            SeqAnalysis::Retransmission => rest.retransmissions += 1,
            SeqAnalysis::OutOfOrder => rest.out_of_order += 1,
            SeqAnalysis::KeepAlive => rest.keepalives += 1,
            SeqAnalysis::WindowProbe => rest.window_probes += 1,
            SeqAnalysis::Copy => rest.copies += 1,
        }
    }

    /// Returns what it sent.
    pub fn flow(&self) -> Flow {
        let of = |count: fn(&Rest) -> u64| self.rest.as_deref().map_or(0, count);
        Flow {
            packets: self.packets,
            bytes: self.bytes,
            payload: self.payload,
            retransmissions: of(|rest| rest.retransmissions),
            out_of_order: of(|rest| rest.out_of_order),
            keepalives: of(|rest| rest.keepalives),
            window_probes: of(|rest| rest.window_probes),
            copies: of(|rest| rest.copies),
            tunnelled: of(|rest| rest.tunnelled),
        }
    }

    /// Follows the sequence numbers. Returns how many bytes of data had not passed before.
    fn follow(&mut self, segment: &Segment<'_>, peer: &Self, rtt: Option<Nanos>) -> (SeqAnalysis, u32) {
        self.window = segment.window;
        if segment.flags.has(Flags::RST) {
            return (SeqAnalysis::New, 0);
        }
        let syn = segment.flags.has(Flags::SYN);
        if syn && let Some(analysis) = self.take_syn(segment.seq) {
            return (analysis, 0);
        }
        self.base.get_or_insert(if syn { segment.seq } else { segment.seq.wrapping_sub(1) });
        let end = segment.seq.wrapping_add(segment.seq_len());
        if segment.flags.has(Flags::FIN) {
            self.fin.get_or_insert(end);
        }
        let Some(next) = self.next else {
            self.next = Some(end);
            self.is_guess = segment.seq == end;
            return (SeqAnalysis::New, segment.len);
        };
        if self.asks(segment, next, peer) {
            return (
                if peer.packets > 0 && peer.window == 0 {
                    SeqAnalysis::WindowProbe
                } else {
                    SeqAnalysis::KeepAlive
                },
                0,
            );
        }
        self.extend(next, segment, end, rtt.unwrap_or(REORDERING))
    }

    /// Follows a SYN; returns `None` if it needs no special treatment.
    fn take_syn(&mut self, number: u32) -> Option<SeqAnalysis> {
        let had = std::mem::replace(&mut self.syn, true);
        match self.base {
            // Part of the connection that it opens has already passed.
            Some(base) if base == number && !had && self.next.is_some() => Some(SeqAnalysis::OutOfOrder),
            Some(base) if base != number && had => {
                self.rest.get_or_insert_default().other_syn = Some(number);
                Some(SeqAnalysis::New)
            }
            Some(base) if base != number => {
                self.forget();
                None
            }
            _ => None,
        }
    }

    /// Forgets its numbers, which belong to another connection.
    fn forget(&mut self) {
        (self.base, self.next, self.acked, self.fin) = (None, None, None, None);
        (self.repeats, self.is_guess) = (0, false);
        if let Some(rest) = &mut self.rest {
            rest.gaps = Gaps::default();
        }
    }

    /// Returns whether the segment only asks for an answer: it repeats just the number before the next.
    fn asks(&self, segment: &Segment<'_>, next: u32, peer: &Self) -> bool {
        let is_last = segment.len <= 1 && segment.seq == next.wrapping_sub(1);
        is_last
            && !segment.flags.any(Flags::SYN | Flags::FIN)
            && match self.acked {
                Some(acked) => acked == next,
                // The peer is not seen. A retransmission of one byte of data would have PSH set.
                None => peer.packets == 0 && (segment.len == 0 || !segment.flags.has(Flags::PSH)),
            }
    }

    /// Advances `next` over the segment's sequence numbers, the last of which is before `end`.
    fn extend(&mut self, next: u32, segment: &Segment<'_>, end: u32, rtt: Nanos) -> (SeqAnalysis, u32) {
        let (seq, len) = (segment.seq, segment.len);
        let skipped = seq.wrapping_sub(next);
        let is_further = after(end, next);
        if is_further {
            self.next = Some(end);
        }
        if skipped == 0 || after(seq, next) {
            let moved = end.wrapping_sub(seq);
            self.is_guess &= moved == 0;
            if skipped > 0 {
                self.rest.get_or_insert_default().gaps.skip(skipped, segment.at);
            }
            if let Some(rest) = &mut self.rest {
                rest.gaps.pass(moved);
            }
            return (SeqAnalysis::New, len);
        }
        if seq == end {
            return (SeqAnalysis::New, 0);
        }
        let (mut fresh, mut since) = (0, None);
        if let Some(rest) = &mut self.rest {
            (fresh, since) = rest.gaps.fill(next.wrapping_sub(seq), end.wrapping_sub(seq));
        }
        if is_further {
            let beyond = end.wrapping_sub(next);
            fresh = fresh.saturating_add(beyond);
            if let Some(rest) = &mut self.rest {
                rest.gaps.pass(beyond);
            }
        }
        // A retransmission cannot come sooner than a round trip after the loss.
        let overtaken = since.is_some_and(|since| segment.at.saturating_sub(since) < rtt);
        let asked_for = self.repeats >= REPEATS && self.acked == Some(seq);
        (
            if overtaken && !asked_for { SeqAnalysis::OutOfOrder } else { SeqAnalysis::Retransmission },
            fresh.min(len),
        )
    }

    /// Follows an acknowledgment sent to this side; returns whether it is the first of its FIN.
    pub fn acknowledge(&mut self, segment: &Segment<'_>) -> bool {
        let ack = segment.ack;
        self.choose_syn(ack);
        if self.acked == Some(ack)
            && segment.len == 0
            && !segment.flags.any(Flags::SYN | Flags::FIN | Flags::RST)
        {
            self.repeats = self.repeats.saturating_add(1);
        }
        self.base.get_or_insert(ack.wrapping_sub(1));
        if self.is_guess && self.next.is_some_and(|next| after(ack, next)) {
            self.next = Some(ack);
        }
        let news = self.acked.is_none_or(|acked| after(ack, acked));
        // What was never sent cannot be acknowledged: such a number belongs to an earlier connection.
        if !news || self.next.is_some_and(|next| after(ack, next)) {
            return false;
        }
        let had_fin = self.fin_acked();
        self.acked = Some(ack);
        self.repeats = 0;
        self.fin_acked() && !had_fin
    }

    /// Chooses between two SYNs: the one that is acknowledged counts.
    fn choose_syn(&mut self, ack: u32) {
        let other = self.rest.as_ref().and_then(|rest| rest.other_syn);
        if let Some(other) = other
            && ack == other.wrapping_add(1)
            && !self.syn_acked()
        {
            self.forget();
            (self.base, self.next) = (Some(other), Some(ack));
        }
    }

    /// Returns whether everything in the segment was seen before.
    pub fn has_sent(&self, segment: &Segment<'_>) -> bool {
        let end = segment.seq.wrapping_add(segment.seq_len());
        let is_other = segment.flags.has(Flags::SYN) && self.base != Some(segment.seq);
        !is_other && self.next.is_some_and(|next| !after(end, next))
    }

    /// Returns whether the segment, sent to this side, acknowledges anything new.
    pub fn acks_new_data(&self, segment: &Segment<'_>) -> bool {
        segment.flags.has(Flags::ACK) && self.acked.is_none_or(|acked| after(segment.ack, acked))
    }

    /// Returns whether its latest news was seen elsewhere.
    pub fn was_elsewhere(&self, segment: &Segment<'_>) -> bool {
        self.place.is_some_and(|place| place != segment.place())
    }

    /// Returns the number of its SYN, or the one before the first seen.
    pub fn base(&self) -> Option<u32> {
        self.base
    }

    /// Returns whether its FIN was seen.
    pub fn has_fin(&self) -> bool {
        self.fin.is_some()
    }

    /// Returns whether its SYN was seen and acknowledged.
    pub fn syn_acked(&self) -> bool {
        self.syn && self.base.zip(self.acked).is_some_and(|(base, acked)| after(acked, base))
    }

    /// Returns whether its FIN was seen and acknowledged.
    pub fn fin_acked(&self) -> bool {
        self.fin.zip(self.acked).is_some_and(|(fin, acked)| !after(fin, acked))
    }

    /// Returns a sequence number relative to its SYN, which is 0.
    pub fn relative(&self, seq: u32) -> u32 {
        self.base.map_or(seq, |base| seq.wrapping_sub(base))
    }
}
