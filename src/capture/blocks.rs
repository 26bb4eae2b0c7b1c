//! Makes the blocks of a pcapng file (draft-ietf-opsawg-pcapng) in memory.

use std::net::Ipv4Addr;

use crate::{capture::Interface, time::Nanos};

pub(super) const SECTION_HEADER: u32 = 0x0A0D_0D0A;
pub(super) const INTERFACE: u32 = 1;
pub(super) const OBSOLETE_PACKET: u32 = 2;
pub(super) const SIMPLE_PACKET: u32 = 3;
pub(super) const NAME_RESOLUTION: u32 = 4;
pub(super) const INTERFACE_STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;

/// Counts of an interface's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came, including those dropped.
    pub received: u64,
    /// Packets dropped for lack of room.
    pub dropped: u64,
}

/// The byte-order magic of a section, and the version of the format.
pub(super) const BYTE_ORDER: u32 = 0x1A2B_3C4D;
pub(super) const MAJOR: u16 = 1;

/// `LINKTYPE_ETHERNET`.
const ETHERNET: u16 = 1;
/// The longest packet that we record, in bytes.
const SNAPLEN: u32 = 262_144;

/// A packet to write.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    /// Index of its interface.
    pub segment: u16,
    pub at: Nanos,
    /// Its length on the wire, in bytes.
    pub original_len: u32,
    pub data: &'a [u8],
}

pub fn section_header(out: &mut Vec<u8>) {
    block(out, SECTION_HEADER, |body| {
        body.extend(BYTE_ORDER.to_le_bytes());
        body.extend(MAJOR.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        // The section's length: unknown while it grows.
        body.extend(u64::MAX.to_le_bytes());
        if let Ok(uname) = nix::sys::utsname::uname() {
            let os = [uname.sysname(), uname.release()].map(|part| part.to_string_lossy()).join(" ");
            option(body, 3, os.as_bytes());
        }
        option(body, 4, concat!("netlab ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(body, 0, b"");
    });
}

pub fn interface(out: &mut Vec<u8>, segment: &Interface) {
    block(out, INTERFACE, |body| {
        body.extend(ETHERNET.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        body.extend(SNAPLEN.to_le_bytes());
        option(body, 2, segment.device.as_bytes());
        option(body, 3, segment.name.as_bytes());
        // if_tsresol: times are in 10^-9 s.
        option(body, 9, &[9]);
        option(body, 0, b"");
    });
}

pub fn name_resolution<'n>(out: &mut Vec<u8>, names: impl IntoIterator<Item = (Ipv4Addr, &'n str)>) {
    block(out, NAME_RESOLUTION, |body| {
        for (address, name) in names {
            let record = [&address.octets(), name.as_bytes(), b"\0"].concat();
            option(body, 1, &record);
        }
        option(body, 0, b"");
    });
}

/// Appends an interface statistics block: the counts of packets if they are known, and a comment if there is one.
pub fn statistics(out: &mut Vec<u8>, interface: usize, counts: Option<Counts>, comment: Option<&str>) {
    let now = jiff::Timestamp::now().as_nanosecond();
    block(out, INTERFACE_STATISTICS, |body| {
        body.extend(u32::try_from(interface).unwrap_or(u32::MAX).to_le_bytes());
        body.extend(halves(u64::try_from(now).unwrap_or_default()));
        if let Some(comment) = comment {
            option(body, 1, comment.as_bytes());
        }
        if let Some(Counts { received, dropped }) = counts {
            // isb_ifrecv and isb_ifdrop, as dumpcap fills them.
            option(body, 4, &received.to_le_bytes());
            option(body, 5, &dropped.to_le_bytes());
        }
        option(body, 0, b"");
    });
}

/// Appends an enhanced packet block, with a comment if there is one.
pub fn enhanced_packet(out: &mut Vec<u8>, packet: &Packet<'_>, comment: Option<&str>) {
    let data = &packet.data[..packet.data.len().min(SNAPLEN as usize)];
    block(out, ENHANCED_PACKET, |body| {
        body.extend(u32::from(packet.segment).to_le_bytes());
        body.extend(halves(packet.at));
        body.extend(length(data).to_le_bytes());
        body.extend(packet.original_len.to_le_bytes());
        body.extend(data);
        pad(body);
        if let Some(comment) = comment {
            option(body, 1, comment.as_bytes());
            option(body, 0, b"");
        }
    });
}

/// Returns a time as two halves, the upper one first whatever the byte order.
fn halves(time: u64) -> [u8; 8] {
    time.rotate_left(32).to_le_bytes()
}

/// Appends a block: type, length, body, length again. It starts at a multiple of four bytes.
fn block(out: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    fill(out);
    let total = (length(&out[start..]) + 4).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&total);
    out.extend(total);
}

/// Appends an option or a name record, which have the same layout: code, length, value, padding. Code 0
/// ends the list. A value that is too long for its length field is cut.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(code.to_le_bytes());
    body.extend(len.to_le_bytes());
    body.extend(&value[..usize::from(len)]);
    pad(body);
}

/// Pads to a multiple of four bytes.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
