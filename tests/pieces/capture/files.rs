//! Packets and capture files, made by hand.

use std::io::Read;

use etherparse::{PacketBuilder, TcpHeader};
use netlab::capture::{Decoder, Names, Reader, Segment};

/// An IPv4 packet with a TCP segment from 198.18.0.3:40312 to 198.18.0.2:8007.
pub fn ipv4(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([198, 18, 0, 3], [198, 18, 0, 2], 64)
        .tcp_header(tcp())
        .write(&mut bytes, data)
        .unwrap();
    bytes
}

/// The same over IPv6, from `fd00::3` to `fd00::2`.
pub fn ipv6(data: &[u8]) -> Vec<u8> {
    let [src, dst] = [3, 2].map(|host| std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host).octets());
    let mut bytes = Vec::new();
    PacketBuilder::ipv6(src, dst, 64).tcp_header(tcp()).write(&mut bytes, data).unwrap();
    bytes
}

fn tcp() -> TcpHeader {
    let mut header = TcpHeader::new(40_312, 8007, 1000, 502);
    (header.psh, header.ack, header.acknowledgment_number) = (true, true, 2000);
    header
}

/// An Ethernet frame of this type.
pub fn ethernet(kind: u16, packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &kind.to_be_bytes()[..], packet].concat()
}

/// The byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    Big,
    Little,
}

pub const ORDERS: [Order; 2] = [Order::Big, Order::Little];

impl Order {
    pub fn u16(self, n: u16) -> Vec<u8> {
        if self == Self::Big { n.to_be_bytes().into() } else { n.to_le_bytes().into() }
    }

    pub fn u32(self, n: u32) -> Vec<u8> {
        if self == Self::Big { n.to_be_bytes().into() } else { n.to_le_bytes().into() }
    }

    pub fn u64(self, n: u64) -> Vec<u8> {
        if self == Self::Big { n.to_be_bytes().into() } else { n.to_le_bytes().into() }
    }
}

pub fn len(bytes: &[u8]) -> u32 {
    bytes.len().try_into().unwrap()
}

/// The header of a pcap file.
pub fn pcap_header(order: Order, magic: u32, link: u32) -> Vec<u8> {
    let version = [order.u16(2), order.u16(4)].concat();
    [order.u32(magic), version, order.u32(0), order.u32(0), order.u32(65_535), order.u32(link)].concat()
}

/// A record of a pcap file, at 7 seconds and `fraction`, with further header bytes if there are any.
pub fn pcap_record(order: Order, fraction: u32, more: &[u8], packet: &[u8]) -> Vec<u8> {
    let fields = [7, fraction, len(packet), len(packet)].map(|field| order.u32(field)).concat();
    [&fields, more, packet].concat()
}

/// A pcap file of Ethernet frames, little-endian, with microseconds.
pub fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let records = packets.iter().map(|packet| pcap_record(Order::Little, 0, &[], packet));
    [vec![pcap_header(Order::Little, 0xa1b2_c3d4, 1)], records.collect()].concat().concat()
}

/// A block of a pcapng file.
pub fn block(order: Order, kind: u32, body: &[Vec<u8>]) -> Vec<u8> {
    let mut body = body.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = order.u32(len(&body) + 12);
    [&order.u32(kind), &len, &body, &len].map(|part| &part[..]).concat()
}

pub fn section(order: Order) -> Vec<u8> {
    block(order, 0x0a0d_0d0a, &[order.u32(0x1a2b_3c4d), order.u16(1), order.u16(0), order.u64(u64::MAX)])
}

pub fn interface(order: Order, link: u16, snaplen: u32, options: &[Vec<u8>]) -> Vec<u8> {
    block(order, 1, &[order.u16(link), order.u16(0), order.u32(snaplen), options.concat()])
}

/// An option or a name record.
pub fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [order.u16(code), order.u16(value.len().try_into().unwrap()), value.into()].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An enhanced packet block, with a comment after the packet.
pub fn packet(order: Order, interface: u32, ticks: u64, packet: &[u8]) -> Vec<u8> {
    let time = [(ticks >> 32) as u32, (ticks & 0xffff_ffff) as u32].map(|half| order.u32(half)).concat();
    let mut data = packet.to_vec();
    data.resize(data.len().next_multiple_of(4), 0);
    let comment = option(order, 1, b"a comment");
    let len = order.u32(len(packet));
    block(order, 6, &[order.u32(interface), time, len.clone(), len, data, comment])
}

/// Everything that can be read from a file.
#[derive(Debug, Default)]
pub struct Contents {
    pub segments: Vec<Segment<'static>>,
    pub packets: u64,
    pub names: Names,
    pub damage: Option<netlab::capture::Damage>,
}

pub fn read(file: impl Read) -> Contents {
    let mut reader = Reader::new(file, "test").unwrap();
    let (mut contents, mut decoder) = (Contents::default(), Decoder::new());
    while let Some(frame) = reader.next(&mut contents.names) {
        contents.segments.extend(decoder.segment(&frame).map(Segment::into_owned));
    }
    contents.packets = reader.packets();
    contents.damage = reader.damage().cloned();
    contents
}
