//! Reassembles fragmented datagrams (RFC 791, 3.2; RFC 8200, 4.5).

use std::{collections::VecDeque, net::IpAddr, ops::Range};

use super::datagram::{Datagram, Fragment};
use crate::time::Nanos;

/// How many incomplete datagrams are remembered; the oldest is dropped first.
const PENDING: usize = 64;
/// How long reassembly may take, in nanoseconds (RFC 8200).
const LIFETIME: Nanos = 60_000_000_000;
/// The longest payload of an IP datagram, in bytes.
const LONGEST: u32 = 65_535;

/// The datagrams of which some fragments were seen.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    pending: VecDeque<Pending>,
}

/// Sender, receiver, number, and how many tunnels they are in.
type Key = (IpAddr, IpAddr, u32, u8);

#[derive(Debug)]
struct Pending {
    key: Key,
    since: Nanos,
    data: Vec<u8>,
    /// The parts of `data` received so far, in order, none touching another.
    have: Vec<Range<usize>>,
    /// Known once the last fragment was seen.
    total: Option<usize>,
}

impl Fragments {
    /// Adds a fragment; returns the whole payload once nothing is missing.
    pub fn join(&mut self, at: Nanos, datagram: &Datagram<'_>, part: Fragment, depth: u8) -> Option<Vec<u8>> {
        if part.offset + datagram.len > LONGEST {
            return None;
        }
        let key = (datagram.src, datagram.dst, part.id, depth);
        self.pending.retain(|p| at.saturating_sub(p.since) < LIFETIME);
        let index = self.pending.iter().position(|p| p.key == key).unwrap_or_else(|| {
            if self.pending.len() == PENDING {
                self.pending.pop_front();
            }
            self.pending.push_back(Pending::new(key, at));
            self.pending.len() - 1
        });
        let pending = &mut self.pending[index];
        pending.add(datagram.payload, part);
        if pending.is_whole() { self.pending.remove(index).map(|whole| whole.data) } else { None }
    }
}

impl Pending {
    fn new(key: Key, since: Nanos) -> Self {
        Self { key, since, data: Vec::new(), have: Vec::new(), total: None }
    }

    fn add(&mut self, payload: &[u8], part: Fragment) {
        let start = part.offset as usize;
        let end = start + payload.len();
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        self.data[start..end].copy_from_slice(payload);
        if !part.more {
            self.total = Some(end);
        }
        // The parts that touch the new one are merged with it.
        let first = self.have.partition_point(|have| have.end < start);
        let last = self.have.partition_point(|have| have.start <= end);
        let joined = self.have[first..last]
            .iter()
            .fold(start..end, |joined, have| joined.start.min(have.start)..joined.end.max(have.end));
        self.have.splice(first..last, [joined]);
    }

    fn is_whole(&self) -> bool {
        self.total.is_some_and(|total| self.have.iter().eq([&(0..total)]))
    }
}
