//! Puts the frames of a capture of several interfaces in order of time.
//!
//! A program that captures on several interfaces may write the packets of each in batches. A packet across a router
//! could then seem to be acknowledged before it is sent.

use std::{cmp::Ordering, collections::BinaryHeap, io::Read};

use super::{Frame, LinkType, Names, Reader};
use crate::time::Nanos;

/// How many frames are held, and how many bytes of them: as much as writers collect for an interface before they turn
/// to the next one.
const MOST_FRAMES: usize = 1 << 16;
const MOST_BYTES: usize = 32 << 20;

/// Frames in order of time.
#[derive(Debug)]
pub struct Ordered<R> {
    /// The source of the frames.
    pub reader: Reader<R>,
    held: BinaryHeap<Held>,
    bytes: usize,
    /// How many have been held so far.
    count: u64,
    /// The frame returned last.
    given: Option<Held>,
}

/// A frame that is being held.
#[derive(Debug)]
struct Held {
    at: Nanos,
    /// Its place in the file, so that frames with equal times keep their order.
    nth: u64,
    interface: u32,
    link: LinkType,
    len: u32,
    data: Box<[u8]>,
}

impl<R: Read> Ordered<R> {
    /// Orders the frames of a reader.
    pub fn new(reader: Reader<R>) -> Self {
        Self { reader, held: BinaryHeap::new(), bytes: 0, count: 0, given: None }
    }

    /// Returns the next frame; `None` at the end, or if the file is damaged there. Adds the names that come before it
    /// in the file to `names`.
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
        // A reader of a capture in progress must not wait for packets that have not passed yet.
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

    /// Holds the frame read last.
    fn hold(&mut self) {
        let Some(Frame { at, interface, link, len, data }) = self.reader.frame() else { return };
        self.count += 1;
        self.bytes += data.len();
        self.held.push(Held { at, nth: self.count, interface, link, len, data: data.into() });
    }

    /// Returns whether everything received so far was returned, so that waiting for the next frame may take long.
    pub fn is_drained(&self) -> bool {
        self.held.is_empty() && self.reader.is_drained()
    }
}

/// The earliest frame is the greatest, because a heap returns the greatest first.
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
