//! Link headers, by link type.

use super::{Layer, Network, be16, wireless};
use crate::capture::LinkType;

type First<'a> = Result<Layer<'a>, Network<'a>>;

/// Removes the link header.
pub(super) fn first(link: LinkType, data: &[u8]) -> First<'_> {
    match link {
        LinkType::ETHERNET => Ok(Layer::Ethernet(data)),
        LinkType::LINUX_SLL => cooked(be16(data, 14), data.get(16..)),
        LinkType::LINUX_SLL2 => cooked(be16(data, 0), data.get(20..)),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => Ok(Layer::Ip(data)),
        raw if LinkType::DLT_RAW.contains(&raw) => Ok(Layer::Ip(data)),
        LinkType::NULL | LinkType::LOOP => loopback(data),
        LinkType::PPP | LinkType::PPP_HDLC | LinkType::C_HDLC => serial(data),
        LinkType::PPP_WITH_DIR => after(data, 1, "PPP header").and_then(serial),
        LinkType::PPP_ETHER => Ok(Layer::Pppoe(data)),
        LinkType::MPLS => Ok(Layer::Mpls(data)),
        LinkType::ATM_RFC1483 => Ok(Layer::Llc(data)),
        LinkType::FDDI => after(data, 13, "FDDI header").map(Layer::Llc),
        LinkType::TOKEN_RING => token_ring(data).ok_or(Network::Broken("Token Ring header")),
        LinkType::FRELAY => frame_relay(data),
        LinkType::ENC => after(data, 12, "header of enc(4)").map(Layer::Ip),
        LinkType::PFLOG => pf_log(data).ok_or(Network::Broken("header of pflog(4)")),
        LinkType::PPI => per_packet(data),
        _ => wireless::first(link, data).unwrap_or(Err(Network::Unknown)),
    }
}

/// Returns what follows a header of this length.
fn after<'a>(data: &'a [u8], len: usize, header: &'static str) -> Result<&'a [u8], Network<'a>> {
    data.get(len..).ok_or(Network::Broken(header))
}

/// Decodes Linux's own header: an Ethernet type, or a number for what has none.
fn cooked(kind: Option<u16>, rest: Option<&[u8]>) -> First<'_> {
    match kind.zip(rest) {
        Some((4, rest)) => Ok(Layer::Llc(rest)),
        Some((0..0x600, _)) => Err(Network::Named("frame without an Ethernet type")),
        Some((kind, rest)) => Ok(Layer::Typed(kind, rest)),
        None => Err(Network::Broken("header of a cooked capture")),
    }
}

fn loopback(data: &[u8]) -> First<'_> {
    let Some((family, rest)) = data.split_first_chunk() else {
        return Err(Network::Broken("loopback header"));
    };
    // Either byte order: a capture may come from another machine. IPv6 has a different number on
    // each system, none above 255.
    match u32::from_le_bytes(*family).min(u32::from_be_bytes(*family)) {
        2 | 10 | 24 | 28 | 30 => Ok(Layer::Ip(rest)),
        _ => Err(Network::Named("frame of no IP family")),
    }
}

/// Decodes a frame from a serial line: PPP, or Cisco's HDLC with Ethernet types.
fn serial(data: &[u8]) -> First<'_> {
    match data {
        [0x0f | 0x8f, 0, k1, k2, rest @ ..] => match u16::from_be_bytes([*k1, *k2]) {
            0..0x600 => Err(Network::Named("Cisco HDLC")),
            kind => Ok(Layer::Typed(kind, rest)),
        },
        _ => Ok(Layer::Ppp(data)),
    }
}

/// Decodes Token Ring. If the highest bit of the sender's address is set, the frame also has a route.
fn token_ring(data: &[u8]) -> Option<Layer<'_>> {
    let route = if data.get(8)? & 0x80 == 0 { 0 } else { data.get(14)? & 0x1f };
    data.get(14 + usize::from(route)..).map(Layer::Llc)
}

/// Decodes frame relay: RFC 2427, or Cisco's variant with an Ethernet type.
fn frame_relay(data: &[u8]) -> First<'_> {
    match data {
        [_, _, 3, 0xcc | 0x8e, rest @ ..] => Ok(Layer::Ip(rest)),
        [_, _, 3, 0, 0x80, 0, 0, 0, k1, k2, rest @ ..] | [_, _, k1 @ 8..=255, k2, rest @ ..] => {
            Ok(Layer::Typed(u16::from_be_bytes([*k1, *k2]), rest))
        }
        [_, _, _, _, ..] => Err(Network::Named("frame relay")),
        _ => Err(Network::Broken("frame relay header")),
    }
}

/// Decodes a header of OpenBSD's and FreeBSD's firewall, which starts with its length without padding.
fn pf_log(data: &[u8]) -> Option<Layer<'_>> {
    data.get(usize::from(*data.first()?).next_multiple_of(4)..).map(Layer::Ip)
}

/// Decodes a header with fields about the packet and its link type, which may not be another such header.
fn per_packet(data: &[u8]) -> First<'_> {
    let broken = Network::Broken("PPI header");
    let &[_, _, l1, l2, t1, t2, 0, 0, ..] = data else { return Err(broken) };
    let (len, link) = (u16::from_le_bytes([l1, l2]), LinkType(u16::from_le_bytes([t1, t2])));
    match data.get(usize::from(len)..) {
        Some(rest) if link != LinkType::PPI && len >= 8 => first(link, rest),
        _ => Err(broken),
    }
}
