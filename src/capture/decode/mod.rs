//! Finds the TCP segment in a frame, through link layers, tags, tunnels, IP and its fragments.
//!
//! Written by hand because captured frames may be cut anywhere and the length on the wire differs from the
//! captured length, and because this runs once for every packet.

mod ip;
mod layer;
mod link;
mod tunnel;
mod wireless;

use std::borrow::Cow;

use super::{
    Frame, Segment,
    datagram::{Datagram, Fragment},
    fragments::Fragments,
};

use layer::Layer;

const PROTO_TCP: u8 = 6;

/// How deep tunnels may be nested: deeper than anybody's, and still quick to go through.
const DEEPEST: u8 = 32;

/// What a frame carries beneath its link layer.
#[derive(Clone, Copy, Debug)]
pub enum Network<'a> {
    /// IPv4 or IPv6.
    Ip(Datagram<'a>),
    /// Something else, by its Ethernet type and what follows it.
    Other(u16, &'a [u8]),
    /// Something that has no Ethernet type, in words.
    Named(&'static str),
    /// Nothing, because this header is cut short or contradicts itself.
    Broken(&'static str),
    /// Unknown: its link type is not supported.
    Unknown,
}

/// Decodes frames to TCP segments; remembers fragments until their datagram is complete.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    opens_tunnels: bool,
}

/// What is found inside a datagram.
enum Reached<'a> {
    Segment(Segment<'a>),
    /// A datagram in fragments, which this frame completes.
    Whole(Datagram<'static>, Vec<u8>),
}

impl Decoder {
    /// Creates a decoder that does not look into tunnels. What is in a tunnel proves nothing: whoever sends the
    /// tunnel's packets can make it up, with any addresses.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a decoder that looks into tunnels, to show what is there.
    pub fn through_tunnels() -> Self {
        Self { opens_tunnels: true, ..Self::default() }
    }

    /// Returns the TCP segment that this frame carries or completes. A datagram in fragments counts as one TCP
    /// segment, in the frame that completes it.
    pub fn segment<'a>(&mut self, frame: &Frame<'a>) -> Option<Segment<'a>> {
        let Network::Ip(datagram) = network(frame) else { return None };
        let mut depth = 0;
        let mut reached = self.inward(frame, datagram, &mut depth)?;
        loop {
            let (datagram, whole) = match reached {
                Reached::Segment(segment) => return Some(Segment { tunnels: depth, ..segment }),
                Reached::Whole(datagram, whole) => (datagram, whole),
            };
            let datagram = Datagram { payload: &whole, ..datagram };
            reached = match self.inward(frame, datagram, &mut depth)? {
                Reached::Segment(segment) => Reached::Segment(segment.into_owned()),
                Reached::Whole(datagram, whole) => Reached::Whole(datagram, whole),
            };
        }
    }

    /// Goes through tunnels to a TCP segment or to a fragment.
    fn inward<'d>(
        &mut self,
        frame: &Frame<'_>,
        mut datagram: Datagram<'d>,
        depth: &mut u8,
    ) -> Option<Reached<'d>> {
        loop {
            if let Some(part) = datagram.fragment {
                return self.join(frame, &datagram, part, *depth);
            }
            if datagram.protocol == PROTO_TCP {
                let data = Cow::Borrowed(datagram.payload);
                return Segment::parse(frame, &datagram, data).map(Reached::Segment);
            }
            if !self.opens_tunnels {
                return None;
            }
            let Network::Ip(inner) = tunnel::inside(&datagram)?.network() else { return None };
            *depth = depth.checked_add(1).filter(|depth| *depth <= DEEPEST)?;
            datagram = inner;
        }
    }

    fn join<'d>(
        &mut self,
        frame: &Frame<'_>,
        datagram: &Datagram<'d>,
        part: Fragment,
        depth: u8,
    ) -> Option<Reached<'d>> {
        // If cut short it can never be joined with the others, but the first one names the ports.
        if datagram.payload.len() < datagram.len as usize {
            let names_ports = part.offset == 0 && datagram.protocol == PROTO_TCP;
            let segment = names_ports.then(|| Segment::parse(frame, datagram, datagram.payload.into()))??;
            return Some(Reached::Segment(segment));
        }
        let whole = self.fragments.join(frame.at, datagram, part, depth)?;
        let len = u32::try_from(whole.len()).ok()?;
        let Datagram { src, dst, protocol, .. } = *datagram;
        Some(Reached::Whole(Datagram { src, dst, protocol, len, payload: &[], fragment: None }, whole))
    }
}

/// Returns what a frame carries beneath its link layer.
pub fn network<'a>(frame: &Frame<'a>) -> Network<'a> {
    link::first(frame.link, frame.data).map_or_else(|end| end, Layer::network)
}

/// Reads the 16-bit big-endian number at `at`.
fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}
