//! The pcapng format: `draft-ietf-opsawg-pcapng`.

use std::{
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    LinkType, Names,
    blocks::{
        BYTE_ORDER, ENHANCED_PACKET, INTERFACE, MAJOR, NAME_RESOLUTION, OBSOLETE_PACKET, SECTION_HEADER,
        SIMPLE_PACKET,
    },
    input::{Input, Stop, damaged},
    packet::{Record, check_captured},
};
use crate::time::Nanos;

/// The block type of a section header, which reads the same in either byte order.
pub(super) const MAGIC: [u8; 4] = SECTION_HEADER.to_be_bytes();

/// Length of what precedes a block's body, in bytes: its type and length.
const HEAD: usize = 8;
const TAIL: usize = 4;

/// What the blocks read so far say about those to come.
#[derive(Debug, Default)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
    /// When the last packet passed, for packets without a time.
    last: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
struct Order {
    big_endian: bool,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    clock: Clock,
    /// Nanoseconds to add to every time.
    shift: i128,
}

/// The unit of timestamps.
#[derive(Clone, Copy, Debug)]
enum Clock {
    /// This many nanoseconds.
    Nanos(u64),
    /// One part of a second divided into this many.
    PerSecond(u128),
}

impl Section {
    /// Takes blocks up to and including the next packet. Sets `offset` to the start of the last block.
    pub fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
        offset: &mut u64,
        names: &mut Names,
    ) -> Result<Record, Stop> {
        loop {
            *offset = input.offset;
            let head = input.peek(HEAD)?;
            let kind = self.order.u32(head, 0);
            if kind == SECTION_HEADER {
                self.start(input.peek(HEAD + 6)?)?;
            }
            let len = self.order.u32(input.peek(HEAD)?, 4);
            let body = match (len as usize).checked_sub(HEAD + TAIL) {
                Some(body) if body % 4 == 0 => body,
                _ => return damaged(format!("a block of {len} bytes, which is impossible")),
            };
            if !matches!(kind, INTERFACE..=NAME_RESOLUTION | ENHANCED_PACKET) {
                input.skip(len.into())?;
                self.check_tail(input, len)?;
                continue;
            }
            input.take(HEAD + body + TAIL)?;
            self.check_tail(input, len)?;
            let body = &input.taken(body + TAIL)[..body];
            let packet = match kind {
                INTERFACE => {
                    let interface = self.interface(body)?;
                    self.interfaces.push(interface);
                    continue;
                }
                NAME_RESOLUTION => {
                    self.names(body, names);
                    continue;
                }
                SIMPLE_PACKET => self.simple(body)?,
                _ => self.packet(kind, body)?,
            };
            self.last = packet.at;
            return Ok(packet);
        }
    }

    /// Takes a section header: what came before no longer counts.
    fn start(&mut self, block: &[u8]) -> Result<(), Stop> {
        let big_endian = [true, false]
            .into_iter()
            .find(|big_endian| Order { big_endian: *big_endian }.u32(block, HEAD) == BYTE_ORDER);
        let Some(big_endian) = big_endian else {
            return damaged("a section with an unknown byte order");
        };
        self.order = Order { big_endian };
        let major = self.order.u16(block, HEAD + 4);
        if major != MAJOR {
            return damaged(format!("a section of version {major} of the format, which is unknown"));
        }
        self.interfaces.clear();
        Ok(())
    }

    /// Returns how many interfaces it has described so far.
    pub fn interfaces(&self) -> usize {
        self.interfaces.len()
    }

    fn check_tail<R: Read>(&self, input: &Input<R>, len: u32) -> Result<(), Stop> {
        match self.order.u32(input.taken(TAIL), 0) {
            tail if tail == len => Ok(()),
            tail => damaged(format!("a block of {len} bytes that says {tail} at its end")),
        }
    }

    fn interface(&self, body: &[u8]) -> Result<Interface, Stop> {
        if body.len() < 8 {
            return damaged("an interface block that is too short");
        }
        let mut interface = Interface {
            link: LinkType(self.order.u16(body, 0)),
            snaplen: self.order.u32(body, 4),
            clock: Clock::Nanos(1000),
            shift: 0,
        };
        self.records(&body[8..], |code, value| match (code, value) {
            (9, [resolution, ..]) => interface.clock = Clock::of(*resolution),
            (14, value) if value.len() >= 8 => {
                interface.shift = i128::from(self.order.i64(value)) * 1_000_000_000;
            }
            _ => {}
        });
        Ok(interface)
    }

    /// Reads name records, and skips anything else.
    fn names(&self, body: &[u8], names: &mut Names) {
        self.records(body, |kind, value| {
            let (address, name): (IpAddr, _) =
                match (kind, value.split_first_chunk(), value.split_first_chunk()) {
                    (1, Some((v4, name)), _) => (Ipv4Addr::from_octets(*v4).into(), name),
                    (2, _, Some((v6, name))) => (Ipv6Addr::from_octets(*v6).into(), name),
                    _ => return,
                };
            // There may be several names, each ended by a zero; the first is the host's.
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            names.add(address, &String::from_utf8_lossy(name));
        });
    }

    /// Visits each (code, value) of a list of options or name records, up to the first that is cut.
    fn records(&self, mut list: &[u8], mut each: impl FnMut(u16, &[u8])) {
        while list.len() >= 4 {
            let (code, len) = (self.order.u16(list, 0), usize::from(self.order.u16(list, 2)));
            let Some(value) = list.get(4..4 + len) else { return };
            if code == 0 {
                return;
            }
            each(code, value);
            list = list.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    fn packet(&self, kind: u32, body: &[u8]) -> Result<Record, Stop> {
        const FIXED: usize = 20;
        if body.len() < FIXED {
            return damaged("a packet block that is too short");
        }
        let number = |at| self.order.u32(body, at);
        let id = if kind == OBSOLETE_PACKET { self.order.u16(body, 0).into() } else { number(0) };
        let captured = check_captured(number(12))?;
        if captured > body.len() - FIXED {
            return damaged(format!("a packet of {captured} captured bytes in a shorter block"));
        }
        let interface = self.find(id)?;
        Ok(Record {
            at: interface.time(u64::from(number(4)) << 32 | u64::from(number(8))),
            interface: id,
            link: interface.link,
            len: number(16),
            taken: body.len() + TAIL - FIXED,
            captured,
        })
    }

    fn simple(&self, body: &[u8]) -> Result<Record, Stop> {
        const FIXED: usize = 4;
        if body.len() < FIXED {
            return damaged("a packet block that is too short");
        }
        let interface = self.find(0)?;
        let len = self.order.u32(body, 0);
        let snaplen = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        let captured = (len.min(snaplen) as usize).min(body.len() - FIXED);
        let taken = body.len() + TAIL - FIXED;
        Ok(Record { at: self.last, interface: 0, link: interface.link, len, taken, captured })
    }

    fn find(&self, id: u32) -> Result<&Interface, Stop> {
        match self.interfaces.get(id as usize) {
            Some(interface) => Ok(interface),
            None => damaged(format!("a packet of interface {id}, which is not described")),
        }
    }
}

impl Interface {
    fn time(&self, ticks: u64) -> Nanos {
        if let (Clock::Nanos(unit), 0) = (self.clock, self.shift) {
            return ticks.saturating_mul(unit);
        }
        let nanos = match self.clock {
            Clock::Nanos(unit) => u128::from(ticks) * u128::from(unit),
            Clock::PerSecond(units) => u128::from(ticks) * 1_000_000_000 / units,
        };
        let shifted = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(self.shift).max(0);
        Nanos::try_from(shifted).unwrap_or(Nanos::MAX)
    }
}

impl Clock {
    /// Decodes the option: a negated exponent of 10, or of 2 if the highest bit is set.
    fn of(resolution: u8) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
        match (base, exponent) {
            (10, 0..=9) => Self::Nanos(10_u64.pow(9 - exponent)),
            _ => Self::PerSecond(base.checked_pow(exponent).unwrap_or(u128::MAX)),
        }
    }
}

impl Order {
    fn u16(self, data: &[u8], at: usize) -> u16 {
        let bytes = [data[at], data[at + 1]];
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(self, data: &[u8], at: usize) -> u32 {
        let bytes = [data[at], data[at + 1], data[at + 2], data[at + 3]];
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn i64(self, data: &[u8]) -> i64 {
        let halves = [self.u32(data, 0), self.u32(data, 4)].map(u64::from);
        let [high, low] = if self.big_endian { halves } else { [halves[1], halves[0]] };
        (high << 32 | low).cast_signed()
    }
}
