//! From a frame to the TCP segment in it, through whatever it travels in: link layers, tags, tunnels, IP and its
//! fragments.
//!
//! Written out by hand because a capture's frames may be cut anywhere and a length on the wire must
//! still be told from what was captured of it, and because this runs once for every packet.

mod ip;
mod layer;
mod link;
mod tunnel;
mod wireless;

use std::borrow::Cow;

use super::{
    Frame, Segment,
    fragments::{Fragment, Fragments},
};

pub use ip::Datagram;
use layer::Layer;

const PROTO_TCP: u8 = 6;

/// How many tunnels one may be in another: more than anybody has, and few enough to be looked through quickly.
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
    /// Nothing, as this header is cut short or contradicts itself.
    Broken(&'static str),
    /// Who knows: its link type is none that can be read.
    Unknown,
}

/// Takes frames and gives TCP segments; remembers fragments until their datagram is whole.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    opens_tunnels: bool,
}

/// How far one gets into a datagram.
enum Reached<'a> {
    Segment(Segment<'a>),
    /// To a datagram that came in fragments, of which this frame's was the last that was missing.
    Whole(Datagram<'static>, Vec<u8>),
}

impl Decoder {
    /// One that opens no tunnels. What is in a tunnel proves nothing: whoever sends the tunnel's packets can make it
    /// up, with any addresses.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that opens them, to show what is there.
    pub fn through_tunnels() -> Self {
        Self { opens_tunnels: true, ..Self::default() }
    }

    /// The TCP segment that this frame carries or completes, in however many tunnels if they are opened. A datagram in fragments
    /// counts as one segment, in the frame that completes it.
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

    /// Through tunnels to a segment, or to a fragment.
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
        // Cut short it can never be joined with the others, but the first one names the ports.
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

/// What a frame carries beneath its link layer.
pub fn network<'a>(frame: &Frame<'a>) -> Network<'a> {
    link::first(frame.link, frame.data).map_or_else(|end| end, Layer::network)
}

/// The 16-bit big-endian number at `at`.
fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}
