//! IEEE 802.11, and what captures have before it.

use super::{Layer, Network};
use crate::capture::LinkType;

/// Bits of a data frame's first byte: its subtype says that it has no data, and that it has a QoS field.
const NO_DATA: u8 = 0x40;
const QOS: u8 = 0x80;
/// Bits of its second byte.
const BOTH_DISTRIBUTED: u8 = 0x03;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
/// The bit of its QoS field that says that several frames follow.
const AGGREGATE: u8 = 0x80;
/// A data frame's header without its optional fields.
const HEADER: usize = 24;

/// A wireless link's headers taken off; none where the link type is another.
pub(super) fn first(link: LinkType, data: &[u8]) -> Option<Result<Layer<'_>, Network<'_>>> {
    let at = |from: usize| data.get(from..)?.first_chunk::<4>();
    let header = match link {
        LinkType::IEEE802_11 => Some(0),
        LinkType::IEEE802_11_RADIOTAP => at(0).map(|h| u32::from(u16::from_le_bytes([h[2], h[3]]))),
        LinkType::IEEE802_11_PRISM => Some(144),
        LinkType::IEEE802_11_AVS => at(4).map(|len| u32::from_be_bytes(*len)),
        _ => return None,
    };
    let frame = header.and_then(|len| data.get(len as usize..));
    Some(frame.map_or(Err(Network::Broken("802.11 capture header")), frame_body))
}

/// What a data frame carries, which begins with LLC.
fn frame_body(data: &[u8]) -> Result<Layer<'_>, Network<'_>> {
    let broken = Network::Broken("802.11 header");
    let &[kind, flags, ..] = data else { return Err(broken) };
    if kind & 0x0c != 0x08 || kind & NO_DATA != 0 {
        return Err(Network::Named("802.11 without data"));
    }
    if flags & PROTECTED != 0 {
        return Err(Network::Named("802.11, encrypted"));
    }
    let mut len = if flags & BOTH_DISTRIBUTED == BOTH_DISTRIBUTED { HEADER + 6 } else { HEADER };
    if kind & QOS != 0 {
        if data.get(len).is_some_and(|qos| qos & AGGREGATE != 0) {
            return Err(Network::Named("802.11, several frames in one"));
        }
        len += if flags & ORDER == 0 { 2 } else { 6 };
    }
    data.get(len..).map(Layer::Llc).ok_or(broken)
}
