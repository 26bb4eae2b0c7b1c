//! Merges the packets of several segments in order of time.
//!
//! Packets of each segment arrive in order, but some of one segment may still be in the kernel while later
//! ones of another are here. So packets are held until nothing earlier can arrive.

use std::ops::Range;

use pcap::{Active, Capture, Packet};

use crate::time::Nanos;

/// The packets held, already encoded.
#[derive(Default)]
pub struct Merger {
    /// The bytes of all of them, and of some that are no longer held.
    bytes: Vec<u8>,
    packets: Vec<(Nanos, Range<usize>)>,
    /// How many of the bytes are held.
    held: usize,
}

impl Merger {
    /// Reads up to `most` bytes of what waits in a capture, and holds it. Returns whether there may be more. `encode`
    /// appends a packet that passed at that time.
    pub fn read(
        &mut self,
        capture: &mut Capture<Active>,
        most: usize,
        mut encode: impl FnMut(Nanos, &Packet<'_>, &mut Vec<u8>),
    ) -> Result<bool, pcap::Error> {
        let most = self.held + most;
        while self.held < most {
            match capture.next_packet() {
                Ok(packet) => {
                    let at = time(packet.header);
                    self.push(at, |out| encode(at, &packet, out));
                }
                Err(pcap::Error::TimeoutExpired) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Holds a packet that passed at `at`; `encode` appends it.
    fn push(&mut self, at: Nanos, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        self.packets.push((at, start..self.bytes.len()));
        self.held += self.bytes.len() - start;
    }

    /// Returns whether no packet is held.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Returns how many bytes are held.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Releases the packets that passed until `until`: appends them in order of time, and returns their
    /// number.
    pub fn take(&mut self, until: Nanos, out: &mut Vec<u8>) -> u32 {
        // Stable: packets with the same time stay in the order of the segments.
        self.packets.sort_by_key(|(at, _)| *at);
        let count = self.packets.partition_point(|(at, _)| *at <= until);
        for (_, range) in self.packets.drain(..count) {
            self.held -= range.len();
            out.extend_from_slice(&self.bytes[range]);
        }
        if self.packets.is_empty() {
            self.bytes.clear();
        } else if self.held < self.bytes.len() / 2 {
            self.compact();
        }
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Frees the bytes of packets that are no longer held.
    fn compact(&mut self) {
        let mut kept = Vec::with_capacity(2 * self.held);
        for (_, range) in &mut self.packets {
            let start = kept.len();
            kept.extend_from_slice(&self.bytes[range.clone()]);
            *range = start..kept.len();
        }
        self.bytes = kept;
    }
}

/// Returns the time in nanoseconds: at that precision libpcap stores them in the field for microseconds.
fn time(header: &pcap::PacketHeader) -> Nanos {
    let (seconds, nanos) = (header.ts.tv_sec, header.ts.tv_usec);
    let seconds = Nanos::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000);
    seconds.saturating_add(Nanos::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_in_order_and_none_before_its_time() {
        let mut merger = Merger::default();
        for (at, text) in [(5, "five"), (7, "seven"), (4, "four"), (6, "six"), (5, "and five")] {
            merger.push(at, |out| out.extend_from_slice(text.as_bytes()));
        }
        let mut out = Vec::new();
        assert_eq!(merger.take(5, &mut out), 3);
        assert_eq!(out, b"fourfiveand five");
        assert!(!merger.is_empty() && merger.len() == 8);
        merger.push(3, |out| out.extend_from_slice(b"late"));
        out.clear();
        assert_eq!(merger.take(Nanos::MAX, &mut out), 3);
        assert_eq!(out, b"latesixseven");
        assert_eq!((merger.is_empty(), merger.len()), (true, 0));
    }
}
