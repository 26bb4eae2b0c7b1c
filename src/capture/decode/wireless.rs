//! IEEE 802.11, and the headers that captures have before it.

use super::{Layer, Network};
use crate::capture::LinkType;

/// Bits of the first byte of a data frame: it has no data; it has a QoS field.
const NO_DATA: u8 = 0x40;
const QOS: u8 = 0x80;
/// Bits of the second byte.
const BOTH_DISTRIBUTED: u8 = 0x03;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
/// The bit of the QoS field for several frames in one.
const AGGREGATE: u8 = 0x80;
/// Length of a data frame's header without optional fields, in bytes.
const HEADER: usize = 24;

/// Removes the headers of a wireless link; `None` for other link types.
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

/// Returns the payload of a data frame, which starts with LLC.
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
