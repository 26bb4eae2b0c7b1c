//! IP datagrams (RFC 791, RFC 8200).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Network, be16};
use crate::capture::datagram::{Datagram, Fragment};

/// Extension headers to skip to find the payload (RFC 8200, 4.1): hop-by-hop, routing, destination
/// options, mobility, HIP, shim6. All have the same layout.
const V6_OPTIONS: [u8; 6] = [0, 43, 60, 135, 139, 140];
const V6_FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// Decodes a datagram, of the version that its first bits say.
pub(super) fn ip(data: &[u8]) -> Network<'_> {
    let (datagram, header) = match data.first().map(|byte| byte >> 4) {
        Some(4) => (ipv4(data), "IPv4 header"),
        Some(6) => (ipv6(data), "IPv6 header"),
        _ => (None, "IP header"),
    };
    datagram.map_or(Network::Broken(header), Network::Ip)
}

fn ipv4(data: &[u8]) -> Option<Datagram<'_>> {
    let header: &[u8; 20] = data.first_chunk()?;
    let start = usize::from(header[0] & 0x0f) * 4;
    // A packet that segmentation offload has yet to split has no length.
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
        // What follows is the fragmentable part, which starts only in the first fragment.
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
