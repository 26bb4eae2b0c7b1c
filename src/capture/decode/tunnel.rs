//! Tunnels: datagrams that carry other packets.

use super::{Datagram, Layer, be16};

const PROTO_IPV4: u8 = 4;
const PROTO_UDP: u8 = 17;
const PROTO_IPV6: u8 = 41;
const PROTO_GRE: u8 = 47;
const PROTO_ETHERIP: u8 = 97;
const PROTO_MPLS: u8 = 137;

/// Ports of VXLAN (RFC 7348), of its variant for payloads other than Ethernet, and of Linux before a port was assigned.
const VXLAN: u16 = 4789;
const VXLAN_GPE: u16 = 4790;
const VXLAN_LINUX: u16 = 8472;
const GENEVE: u16 = 6081;
const GTP: u16 = 2152;
const MPLS_IN_UDP: u16 = 6635;

/// Mirrored Ethernet frames in GRE: versions 1 and 2, and version 3.
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;

/// Returns the packet in a datagram that belongs to a tunnel.
pub(super) fn inside<'a>(outer: &Datagram<'a>) -> Option<Layer<'a>> {
    let data = outer.payload;
    match outer.protocol {
        PROTO_IPV4 | PROTO_IPV6 => Some(Layer::Ip(data)),
        PROTO_GRE => gre(data),
        PROTO_ETHERIP => data.get(2..).map(Layer::Ethernet),
        PROTO_MPLS => Some(Layer::Mpls(data)),
        PROTO_UDP => {
            let (ports, data) = ([be16(data, 0)?, be16(data, 2)?], data.get(8..)?);
            ports.into_iter().find_map(|port| udp(port, data))
        }
        _ => None,
    }
}

fn udp(port: u16, data: &[u8]) -> Option<Layer<'_>> {
    match port {
        VXLAN | VXLAN_LINUX => vxlan(data),
        VXLAN_GPE => vxlan_gpe(data),
        GENEVE => geneve(data),
        GTP => gtp(data),
        MPLS_IN_UDP => Some(Layer::Mpls(data)),
        _ => None,
    }
}

/// Decodes GRE (RFC 2784 and 2890); version 1 is PPTP's (RFC 2637).
fn gre(data: &[u8]) -> Option<Layer<'_>> {
    /// Bits for fields of four bytes: checksum, key, sequence number, PPTP's acknowledgment number.
    const FIELDS: [u16; 4] = [0x8000, 0x2000, 0x1000, 0x0080];
    const SEQUENCE: u16 = 0x1000;
    /// A list of routes, no longer in use.
    const ROUTING: u16 = 0x4000;
    let (flags, kind) = (be16(data, 0)?, be16(data, 2)?);
    if flags & ROUTING != 0 || flags & 7 > 1 {
        return None;
    }
    let fields = FIELDS.iter().filter(|field| flags & **field != 0).count();
    let data = data.get(4 + fields * 4..)?;
    match kind {
        ERSPAN if flags & SEQUENCE == 0 => Some(Layer::Ethernet(data)),
        ERSPAN => data.get(8..).map(Layer::Ethernet),
        ERSPAN_3 => {
            let more = if data.get(11)? & 1 == 0 { 12 } else { 20 };
            data.get(more..).map(Layer::Ethernet)
        }
        // An Ethernet type is never this low.
        0..0x600 => None,
        _ => Some(Layer::Typed(kind, data)),
    }
}

fn vxlan(data: &[u8]) -> Option<Layer<'_>> {
    let (header, frame) = data.split_first_chunk::<8>()?;
    // The bit says that the network's number is valid.
    (header[0] & 0x08 != 0).then_some(Layer::Ethernet(frame))
}

fn vxlan_gpe(data: &[u8]) -> Option<Layer<'_>> {
    let (header, packet) = data.split_first_chunk::<8>()?;
    match header[3] {
        1 | 2 => Some(Layer::Ip(packet)),
        3 => Some(Layer::Ethernet(packet)),
        5 => Some(Layer::Mpls(packet)),
        _ => None,
    }
}

/// Decodes GENEVE (RFC 8926).
fn geneve(data: &[u8]) -> Option<Layer<'_>> {
    let [head, _, k1, k2] = data.first_chunk()?;
    let kind = u16::from_be_bytes([*k1, *k2]);
    let options = usize::from(head & 0x3f) * 4;
    (head >> 6 == 0 && kind >= 0x600).then_some(Layer::Typed(kind, data.get(8 + options..)?))
}

/// Decodes GTP: a user's packet in a mobile network (3GPP TS 29.281).
fn gtp(data: &[u8]) -> Option<Layer<'_>> {
    const USER_PACKET: u8 = 255;
    const HAS_EXTENSIONS: u8 = 0x04;
    let [flags, USER_PACKET, ..] = data else { return None };
    if flags >> 5 != 1 {
        return None;
    }
    let mut rest = data.get(8..)?;
    if flags & 7 != 0 {
        let mut next = *rest.get(3)?;
        rest = &rest[4..];
        while flags & HAS_EXTENSIONS != 0 && next != 0 {
            let len = usize::from(*rest.first()?) * 4;
            next = *rest.get(len.checked_sub(1)?)?;
            rest = &rest[len..];
        }
    }
    Some(Layer::Ip(rest))
}
