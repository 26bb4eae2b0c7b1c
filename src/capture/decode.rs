//! From a frame to the TCP segment in it: link layer, VLAN tags, IP, its extensions and fragments.
//!
//! Written out by hand because a capture's frames may be cut anywhere and a length on the wire must
//! still be told from what was captured of it, and because this runs once for every packet.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    Frame, LinkType, Segment,
    fragments::{Fragment, Fragments},
};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and what some switches sent before 802.1ad.
const ETHERTYPE_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

const PROTO_TCP: u8 = 6;

/// Extension headers that one walks over to find the payload (RFC 8200, 4.1): hop-by-hop, routing,
/// destination options, mobility, HIP, shim6. All share one layout.
const V6_OPTIONS: [u8; 6] = [0, 43, 60, 135, 139, 140];
const V6_FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// What a frame carries.
#[derive(Clone, Copy, Debug)]
pub enum Network<'a> {
    /// IPv4 or IPv6.
    Ip(Datagram<'a>),
    /// Something else, by its Ethernet type and what follows it.
    Other(u16, &'a [u8]),
}

/// An IP datagram, or a fragment of one.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Sender.
    pub src: IpAddr,
    /// Receiver.
    pub dst: IpAddr,
    /// What the payload is, by its number in the IANA registry of protocols.
    pub protocol: u8,
    /// The payload's length on the wire, in bytes.
    pub len: u32,
    /// What was captured of the payload.
    pub payload: &'a [u8],
    /// Which part of the whole payload this is, if it is a part.
    pub fragment: Option<Fragment>,
}

/// Takes frames and gives TCP segments; remembers fragments until their datagram is whole.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
}

impl Decoder {
    /// One that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The TCP segment that this frame carries or completes. A datagram in fragments counts as one
    /// segment, in the frame that completes it.
    pub fn segment<'a>(&mut self, frame: &Frame<'a>) -> Option<Segment<'a>> {
        let Some(Network::Ip(datagram)) = network(frame) else { return None };
        if datagram.protocol != PROTO_TCP {
            return None;
        }
        match datagram.fragment {
            None => Segment::parse(frame, &datagram, Cow::Borrowed(datagram.payload)),
            // Cut short it can never be joined with the others, but the first one names the ports.
            Some(part) if datagram.payload.len() < datagram.len as usize => {
                (part.offset == 0).then(|| Segment::parse(frame, &datagram, datagram.payload.into()))?
            }
            Some(part) => {
                let whole = self.fragments.join(frame.at, &datagram, part)?;
                let datagram = Datagram { len: u32::try_from(whole.len()).ok()?, ..datagram };
                Segment::parse(frame, &datagram, Cow::Owned(whole))
            }
        }
    }
}

/// What a frame carries beneath its link layer; none where it is cut before one can tell.
pub fn network<'a>(frame: &Frame<'a>) -> Option<Network<'a>> {
    let data = frame.data;
    match frame.link {
        LinkType::ETHERNET => ethertype(be16(data, 12)?, &data[14..]),
        LinkType::LINUX_SLL => ethertype(be16(data, 14)?, &data[16..]),
        LinkType::LINUX_SLL2 => ethertype(be16(data, 0)?, data.get(20..)?),
        LinkType::NULL | LinkType::LOOP => {
            let (family, rest) = data.split_first_chunk()?;
            // Either byte order: a capture may come from another machine. IPv6 has a number of its
            // own on each system, of which none exceeds 255.
            match u32::from_le_bytes(*family).min(u32::from_be_bytes(*family)) {
                2 | 10 | 24 | 28 | 30 => ip(rest),
                _ => None,
            }
        }
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => ip(data),
        raw if LinkType::DLT_RAW.contains(&raw) => ip(data),
        _ => None,
    }
}

fn ethertype(mut kind: u16, mut data: &[u8]) -> Option<Network<'_>> {
    while ETHERTYPE_VLAN.contains(&kind) {
        kind = be16(data, 2)?;
        data = &data[4..];
    }
    match kind {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => ip(data),
        _ => Some(Network::Other(kind, data)),
    }
}

fn ip(data: &[u8]) -> Option<Network<'_>> {
    match data.first()? >> 4 {
        4 => ipv4(data).map(Network::Ip),
        6 => ipv6(data).map(Network::Ip),
        _ => None,
    }
}

fn ipv4(data: &[u8]) -> Option<Datagram<'_>> {
    let header: &[u8; 20] = data.first_chunk()?;
    let start = usize::from(header[0] & 0x0f) * 4;
    // A packet that segmentation offload has yet to cut in pieces has no length.
    let total = match be16(header, 2)? {
        0 => data.len(),
        total => total.into(),
    };
    if start < header.len() || total < start {
        return None;
    }
    let flags = be16(header, 6)?;
    let fragment = Fragment {
        id: be16(header, 4)?.into(),
        offset: u32::from(flags & 0x1fff) * 8,
        more: flags & 0x2000 != 0,
    };
    Some(Datagram {
        src: Ipv4Addr::from(*header[12..].first_chunk::<4>()?).into(),
        dst: Ipv4Addr::from(*header[16..].first_chunk::<4>()?).into(),
        protocol: header[9],
        len: u32::try_from(total - start).ok()?,
        payload: data.get(start..total.min(data.len()))?,
        fragment: fragment.is_part().then_some(fragment),
    })
}

fn ipv6(data: &[u8]) -> Option<Datagram<'_>> {
    let header: &[u8; 40] = data.first_chunk()?;
    let total = match be16(header, 4)? {
        0 => data.len(),
        len => header.len() + usize::from(len),
    };
    let data = &data[..total.min(data.len())];
    let (mut protocol, mut start, mut fragment) = (header[6], header.len(), None);
    loop {
        let extension = data.get(start..)?;
        let (next, len) = match protocol {
            _ if V6_OPTIONS.contains(&protocol) => {
                (*extension.first()?, usize::from(*extension.get(1)?) * 8 + 8)
            }
            AUTHENTICATION => (*extension.first()?, usize::from(*extension.get(1)?) * 4 + 8),
            V6_FRAGMENT => {
                let bits = be16(extension, 2)?;
                let id = u32::from_be_bytes(*extension.get(4..)?.first_chunk()?);
                let part = Fragment { id, offset: (bits & !7).into(), more: bits & 1 != 0 };
                fragment = part.is_part().then_some(part);
                (extension[0], 8)
            }
            _ => break,
        };
        (protocol, start) = (next, start + len);
        // What follows is the payload's fragmentable part, which starts in the first fragment only.
        if fragment.is_some() {
            break;
        }
    }
    Some(Datagram {
        src: Ipv6Addr::from(*header[8..].first_chunk::<16>()?).into(),
        dst: Ipv6Addr::from(*header[24..].first_chunk::<16>()?).into(),
        protocol,
        len: u32::try_from(total.checked_sub(start)?).ok()?,
        payload: data.get(start..)?,
        fragment,
    })
}

/// The 16-bit big-endian number at `at`.
fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}
