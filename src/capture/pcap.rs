//! The pcap format: `draft-ietf-opsawg-pcap`, and older variants.

use std::io::Read;

use super::{
    LinkType,
    input::{Input, Stop, damaged},
    packet::{Record, check_captured},
};

/// The version of the format; the minor version only matters for [`Header::old`].
const MAJOR: u32 = 2;
/// Length of the file header, in bytes.
const HEADER: usize = 24;

/// What a file's first four bytes say about the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Magic {
    /// Whether numbers are big-endian.
    big_endian: bool,
    /// Nanoseconds in one unit of a timestamp's fraction.
    unit: u64,
    /// The length of a record's header, in bytes; a patch from 1999 made it longer.
    record: usize,
}

impl Magic {
    pub fn of(bytes: [u8; 4]) -> Option<Self> {
        [true, false].into_iter().find_map(|big_endian| {
            let (unit, record) = match number(big_endian, bytes) {
                0xa1b2_c3d4 => (1000, 16),
                0xa1b2_3c4d => (1, 16),
                0xa1b2_cd34 => (1000, 24),
                _ => return None,
            };
            Some(Self { big_endian, unit, record })
        })
    }
}

/// What the file header says about the records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    magic: Magic,
    link: LinkType,
    /// Up to version 2.3, some writers swapped the two lengths.
    old: bool,
}

impl Header {
    /// Reads the file header, whose version must be known.
    pub fn read<R: Read>(input: &mut Input<R>, magic: Magic) -> Result<Self, Stop> {
        input.take(HEADER)?;
        let header = input.taken(HEADER);
        let field = |at: usize| field(magic.big_endian, header, at);
        let (first, second) = (field(4) >> 16, field(4) & 0xffff);
        let (major, minor) = if magic.big_endian { (first, second) } else { (second, first) };
        if major != MAJOR {
            return damaged(format!("version {major}.{minor} of the format is unknown"));
        }
        // The upper half says whether frames end in a checksum; irrelevant, since IP has its own length.
        let link = LinkType(u16::try_from(field(20) & 0xffff).unwrap_or_default());
        Ok(Self { magic, link, old: minor <= 3 })
    }

    /// Takes the next packet.
    pub fn next<R: Read>(&self, input: &mut Input<R>) -> Result<Record, Stop> {
        let Magic { big_endian, unit, record } = self.magic;
        let header = input.peek(record)?;
        let field = |at: usize| field(big_endian, header, at);
        let (seconds, fraction, mut captured, mut len) = (field(0), field(4), field(8), field(12));
        if self.old && captured > len {
            (captured, len) = (len, captured);
        }
        let captured = check_captured(captured)?;
        input.take(record + captured)?;
        let at = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * unit;
        Ok(Record { at, interface: 0, link: self.link, len, taken: captured, captured })
    }
}

fn field(big_endian: bool, header: &[u8], at: usize) -> u32 {
    number(big_endian, [header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn number(big_endian: bool, bytes: [u8; 4]) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
