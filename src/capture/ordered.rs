//! The frames of a capture of several interfaces in order of time, also where the file has them in another one.
//!
//! Whoever captures on several interfaces may write each one's packets in pieces. A connection across a router would
//! then seem to be acknowledged before it is sent.

use std::{cmp::Ordering, collections::BinaryHeap, io::Read};

use super::{Frame, LinkType, Names, Reader};
use crate::time::Nanos;

/// How many frames are held, and how many bytes of them: what writers collect for an interface before they turn to the
/// next one.
const MOST_FRAMES: usize = 1 << 16;
const MOST_BYTES: usize = 32 << 20;

/// Frames in order of time.
#[derive(Debug)]
pub struct Ordered<R> {
    /// Where they come from.
    pub reader: Reader<R>,
    held: BinaryHeap<Held>,
    bytes: usize,
    /// How many were held so far.
    count: u64,
    /// The one that was given last.
    given: Option<Held>,
}

/// A frame on its way.
#[derive(Debug)]
struct Held {
    at: Nanos,
    /// Its place in the file, so that frames of one time stay in its order.
    nth: u64,
    interface: u32,
    link: LinkType,
    len: u32,
    data: Box<[u8]>,
}

impl<R: Read> Ordered<R> {
    /// Orders what the reader gives.
    pub fn new(reader: Reader<R>) -> Self {
        Self { reader, held: BinaryHeap::new(), bytes: 0, count: 0, given: None }
    }

    /// The next frame; none at the end, or where the file is damaged. Names that come before it in the file are added
    /// to `names`.
    pub fn next(&mut self, names: &mut Names) -> Option<Frame<'_>> {
        if self.held.is_empty() {
            if !self.reader.advance(names) {
                return None;
            }
            if self.reader.interfaces() <= 1 {
                return self.reader.frame();
            }
            self.hold();
        }
        // Whoever follows a capture that goes on does not wait for what has not passed yet.
        while self.held.len() < MOST_FRAMES && self.bytes < MOST_BYTES && !self.reader.is_drained() {
            if !self.reader.advance(names) {
                break;
            }
            self.hold();
        }
        let given = self.held.pop()?;
        self.bytes -= given.data.len();
        let Held { at, interface, link, len, data, .. } = self.given.insert(given);
        Some(Frame { at: *at, interface: *interface, link: *link, len: *len, data })
    }

    /// Holds the frame that was read last.
    fn hold(&mut self) {
        let Some(Frame { at, interface, link, len, data }) = self.reader.frame() else { return };
        self.count += 1;
        self.bytes += data.len();
        self.held.push(Held { at, nth: self.count, interface, link, len, data: data.into() });
    }

    /// Whether everything that has come was given, so that the next frame may take its time.
    pub fn is_drained(&self) -> bool {
        self.held.is_empty() && self.reader.is_drained()
    }
}

/// The earliest one is the greatest, as a heap gives that first.
impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.nth).cmp(&(self.at, self.nth))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Held {}
