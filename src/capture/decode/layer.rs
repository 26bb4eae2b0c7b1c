//! The layers between a link and IP: Ethernet, tags, labels, LLC, PPP.

use super::{Network, be16, ip::ip};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_ARP: u16 = 0x0806;
/// 802.1Q, 802.1ad, and the type some switches used before 802.1ad.
const ETHERTYPE_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// An Ethernet frame in a tunnel (RFC 1701).
const ETHERTYPE_ETHERNET: u16 = 0x6558;
const ETHERTYPE_PPP: u16 = 0x880b;
const ETHERTYPE_MPLS: [u16; 2] = [0x8847, 0x8848];
const ETHERTYPE_PPPOE: u16 = 0x8864;
/// An Ethernet type up to this is the frame's length instead (IEEE 802.3, 3.2.6).
const LONGEST: u16 = 1500;

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
const PPP_MPLS: [u16; 2] = [0x0281, 0x0283];

/// The layer that some bytes start with. Every header is at least a byte long or its payload is known to be IP, so
/// there is an end to the layers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer<'a> {
    Ethernet(&'a [u8]),
    /// The payload of an Ethernet type.
    Typed(u16, &'a [u8]),
    /// Logical link control (IEEE 802.2), with or without SNAP.
    Llc(&'a [u8]),
    /// A stack of labels (RFC 3032).
    Mpls(&'a [u8]),
    /// A session's packet (RFC 2516).
    Pppoe(&'a [u8]),
    /// PPP, with or without HDLC's address and control bytes (RFC 1661, 1662).
    Ppp(&'a [u8]),
    Ip(&'a [u8]),
}

impl<'a> Layer<'a> {
    /// Decodes this layer and those that follow it, down to the network layer.
    pub fn network(self) -> Network<'a> {
        let mut layer = self;
        loop {
            layer = match layer.beneath() {
                Ok(beneath) => beneath,
                Err(end) => return end,
            };
        }
    }

    /// Returns the layer that this one carries, or as an error the network layer if there is no other.
    fn beneath(self) -> Result<Self, Network<'a>> {
        match self {
            Self::Ethernet(data) => ethernet(data).ok_or(Network::Broken("Ethernet header")),
            Self::Typed(kind, data) => typed(kind, data),
            Self::Llc(data) => llc(data),
            Self::Mpls(data) => mpls(data).ok_or(Network::Broken("MPLS label")),
            Self::Pppoe(data) => pppoe(data),
            Self::Ppp(data) => ppp(data),
            Self::Ip(data) => Err(ip(data)),
        }
    }
}

fn ethernet(data: &[u8]) -> Option<Layer<'_>> {
    Some(Layer::Typed(be16(data, 12)?, &data[14..]))
}

fn typed(kind: u16, data: &[u8]) -> Result<Layer<'_>, Network<'_>> {
    match kind {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => Ok(Layer::Ip(data)),
        0..=LONGEST => Ok(Layer::Llc(&data[..data.len().min(kind.into())])),
        ETHERTYPE_ETHERNET => Ok(Layer::Ethernet(data)),
        ETHERTYPE_PPP => Ok(Layer::Ppp(data)),
        ETHERTYPE_PPPOE => Ok(Layer::Pppoe(data)),
        _ if ETHERTYPE_MPLS.contains(&kind) => Ok(Layer::Mpls(data)),
        _ if ETHERTYPE_VLAN.contains(&kind) => {
            let inner = be16(data, 2).ok_or(Network::Broken("VLAN tag"))?;
            Ok(Layer::Typed(inner, &data[4..]))
        }
        _ => Err(Network::Other(kind, data)),
    }
}

fn llc(data: &[u8]) -> Result<Layer<'_>, Network<'_>> {
    match data {
        // SNAP (RFC 1042), with the organization of Ethernet's types or of bridged ones.
        [0xaa, 0xaa, 3, 0, 0, 0 | 0xf8, k1, k2, rest @ ..] => {
            let kind = u16::from_be_bytes([*k1, *k2]);
            if kind > LONGEST { typed(kind, rest) } else { Err(Network::Named("SNAP")) }
        }
        [6, 6, 3, rest @ ..] => Ok(Layer::Ip(rest)),
        [0x42, 0x42, ..] => Err(Network::Named("spanning tree")),
        [_, _, _, ..] => Err(Network::Named("LLC")),
        _ => Err(Network::Broken("LLC header")),
    }
}

/// Decodes a stack of labels. Only the first bytes after it reveal what follows (RFC 4928).
fn mpls(data: &[u8]) -> Option<Layer<'_>> {
    let labels = data.as_chunks::<4>().0;
    let last = labels.iter().position(|label| label[2] & 1 != 0)?;
    let data = &data[(last + 1) * 4..];
    let is_frame = |data: &[u8]| {
        let kind = be16(data, 12).unwrap_or_default();
        let network = [ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP].contains(&kind);
        network || ETHERTYPE_VLAN.contains(&kind) || ETHERTYPE_MPLS.contains(&kind)
    };
    match data.first()? >> 4 {
        4 | 6 => Some(Layer::Ip(data)),
        // The control word of a pseudowire (RFC 4385), unless these are the first bytes of an address.
        0 if !is_frame(data) => data.get(4..).map(Layer::Ethernet),
        _ => Some(Layer::Ethernet(data)),
    }
}

fn pppoe(data: &[u8]) -> Result<Layer<'_>, Network<'_>> {
    match data {
        [0x11, 0, _, _, l1, l2, rest @ ..] => {
            let len = u16::from_be_bytes([*l1, *l2]).into();
            Ok(Layer::Ppp(&rest[..rest.len().min(len)]))
        }
        _ => Err(Network::Broken("PPPoE header")),
    }
}

fn ppp(data: &[u8]) -> Result<Layer<'_>, Network<'_>> {
    let (protocol, rest) = match data.strip_prefix(&[0xff, 3]).unwrap_or(data) {
        // The number may be one byte long: its last byte is odd, the others are even.
        [short, rest @ ..] if short & 1 != 0 => (u16::from(*short), rest),
        [p1, p2, rest @ ..] => (u16::from_be_bytes([*p1, *p2]), rest),
        _ => return Err(Network::Broken("PPP header")),
    };
    match protocol {
        PPP_IPV4 | PPP_IPV6 => Ok(Layer::Ip(rest)),
        _ if PPP_MPLS.contains(&protocol) => Ok(Layer::Mpls(rest)),
        _ => Err(Network::Named("PPP")),
    }
}
