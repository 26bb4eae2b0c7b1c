//! Sends packets to be recorded, in large pieces.
//!
//! Nobody waits for a single packet here, so the kernel collects them (`TPACKET_V3`) and wakes this thread
//! once for many, and they are sent to the reader as the blocks that the file consists of. If the reader is
//! slow, this end waits for it and the ring fills; packets that no longer fit are counted.

use std::{
    io::Read,
    os::fd::AsFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::EventFd,
};
use pcap::{Active, Capture};

use super::{
    merge::Merger,
    next, now,
    output::Output,
    report,
    wire::{Manner, open, readable},
};
use crate::{
    Error, Result,
    capture::{
        Interface,
        blocks::{Packet, enhanced_packet},
    },
    error::Context,
    observer::protocol::{BLOCKS_HEADER, Message, blocks_header, encode_json},
    time::Nanos,
};

/// Maximum time for which the kernel collects packets, in milliseconds.
const COLLECT: u16 = 50;
/// Size of the kernel's rings together, in bytes, and the minimum for one segment: half a second at two
/// gigabits per second, and an eighth of that.
const RINGS: i32 = 128 << 20;
const RING: i32 = 32 << 20;
/// How long packets of several segments are held, in nanoseconds: twice the kernel's collecting time.
const HELD: Nanos = 100_000_000;
/// Maximum number of bytes held. Beyond that, a complete file matters more than one in order.
const MOST_HELD: usize = 16 << 20;
/// Bytes read from a segment at once: about what the kernel collects in one block.
const PIECE: usize = 256 << 10;
/// Time limit for passing on the last packets.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records until `input` ends, then passes on everything captured by then.
pub fn serve(segments: &[Interface], mut input: impl Read, output: &Output) -> Result<()> {
    let ring = RINGS / i32::try_from(segments.len().max(1)).unwrap_or(i32::MAX);
    let manner = Manner { immediate: false, collect: COLLECT.into(), ring: ring.max(RING) };
    let taps: Vec<Tap> = (0..).zip(segments).map(|(i, s)| Tap::open(i, s, &manner)).collect::<Result<_>>()?;
    let mut recording = Recording { taps, merger: Merger::default() };
    report(output, &Message::Ready { at: now() });
    let bell = Arc::new(EventFd::new().or_lab(|| "cannot make an event descriptor")?);
    let (end, out) = (bell.clone(), output.clone());
    let recording = thread::Builder::new().spawn(move || {
        while !recording.wait(Some(&end), recording.held()).rung {
            recording.pass_on(&out);
        }
        recording.finish(&out);
    });
    let recording = recording.or_lab(|| "cannot start a thread")?;
    while next(&mut input)?.is_some() {}
    // Fails only if the counter is full, and then the reader is already woken.
    let _ = bell.write(1);
    recording.join().map_err(|_| Error::lab("the recording failed"))
}

/// Why a wait ended.
struct Woken {
    rung: bool,
    ready: bool,
}

/// Segments under recording.
struct Recording {
    taps: Vec<Tap>,
    merger: Merger,
}

impl Recording {
    /// Returns how long to wait for more packets.
    fn held(&self) -> PollTimeout {
        if self.merger.is_empty() { PollTimeout::NONE } else { PollTimeout::from(COLLECT) }
    }

    /// Passes on what is in the rings, and what the kernel still collects.
    fn finish(&mut self, output: &Output) {
        let (until, deadline) = (now(), Instant::now() + PATIENCE);
        while Instant::now() < deadline && self.wait(None, PollTimeout::from(2 * COLLECT)).ready {
            self.pass_on(output);
            self.taps.iter_mut().for_each(|tap| tap.over |= tap.latest > until);
        }
        self.send(Nanos::MAX, output);
        self.taps.iter_mut().for_each(|tap| tap.count(output, true));
        report(output, &Message::Done { id: 0 });
    }

    /// Waits for packets on an open segment, or for the bell.
    fn wait(&self, bell: Option<&EventFd>, timeout: PollTimeout) -> Woken {
        let taps = self.taps.iter().filter(|tap| !tap.over);
        let mut fds: Vec<_> = taps.map(|tap| readable(&tap.capture)).collect();
        fds.extend(bell.map(|bell| PollFd::new(bell.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, timeout) {
            Ok(ready) => {
                let rung = bell.is_some() && fds.last().and_then(PollFd::any).unwrap_or(false);
                Woken { rung, ready: ready > 0 }
            }
            Err(Errno::EINTR) => Woken { rung: false, ready: true },
            Err(_) => std::process::exit(3),
        }
    }

    /// Reads one piece from each segment, and passes on the packets before which nothing earlier can arrive.
    fn pass_on(&mut self, output: &Output) {
        let several = self.taps.len() > 1 && self.merger.len() < MOST_HELD;
        let mut settled = if several { now().saturating_sub(HELD) } else { Nanos::MAX };
        for tap in self.taps.iter_mut().filter(|tap| !tap.over) {
            if tap.read(&mut self.merger, output) && several {
                settled = settled.min(tap.latest);
            }
        }
        self.send(settled, output);
    }

    fn send(&mut self, until: Nanos, output: &Output) {
        let mut piece = vec![0; BLOCKS_HEADER];
        let count = self.merger.take(until, &mut piece);
        if count > 0 {
            let header = blocks_header(piece.len(), count);
            piece[..BLOCKS_HEADER].copy_from_slice(&header);
            output.send(&piece);
            self.taps.iter_mut().for_each(|tap| tap.count(output, false));
        }
    }
}

/// One segment.
struct Tap {
    index: u16,
    name: String,
    capture: Capture<Active>,
    /// Time of the last packet passed on.
    latest: Nanos,
    /// Whether nothing more will come from it.
    over: bool,
    /// Number of packets passed on.
    passed: u64,
    counted: Counted,
}

impl Tap {
    fn open(index: u16, segment: &Interface, manner: &Manner) -> Result<Self> {
        Ok(Self {
            index,
            name: segment.name.clone(),
            capture: open(segment, manner)?,
            latest: 0,
            over: false,
            passed: 0,
            counted: Counted::default(),
        })
    }

    /// Reads up to one piece. Returns whether there may be more.
    fn read(&mut self, merger: &mut Merger, output: &Output) -> bool {
        let Self { index, capture, latest, passed, .. } = self;
        let read = merger.read(capture, PIECE, |at, packet, out| {
            let (segment, original_len, data) = (*index, packet.header.len, packet.data);
            enhanced_packet(out, &Packet { segment, at, original_len, data }, None);
            *latest = at;
            *passed += 1;
        });
        read.unwrap_or_else(|error| {
            self.over = true;
            let why = format!("segment {} can no longer be seen: {error}", self.name);
            report(output, &Message::ObservationLost { at: now(), why });
            false
        })
    }

    /// Reports the numbers of packets that arrived and were dropped, if more were dropped than reported or if
    /// `anyway`.
    fn count(&mut self, output: &Output, anyway: bool) {
        let Ok(stat) = self.capture.stats() else { return };
        let news = self.counted.add(stat.received, stat.dropped);
        if news || anyway {
            let dropped = self.counted.dropped;
            // Packets since the end are in the kernel's count, but are neither recorded nor lost.
            let received = if self.over { self.passed + dropped } else { self.counted.received };
            let mut out = Vec::new();
            encode_json(&Message::Counted { segment: self.index, received, dropped }, &mut out);
            output.send(&out);
        }
    }
}

/// libpcap's counts, extended beyond 2^32, where they wrap around.
#[derive(Default)]
struct Counted {
    received: u64,
    dropped: u64,
}

impl Counted {
    /// Adds libpcap's counts; returns whether more were dropped.
    fn add(&mut self, received: u32, dropped: u32) -> bool {
        let more = [(&mut self.received, received), (&mut self.dropped, dropped)].map(|(count, now)| {
            #[allow(clippy::cast_possible_truncation)] // it is this half that libpcap has
            let more = now.wrapping_sub(*count as u32);
            *count += u64::from(more);
            more
        });
        more[1] > 0
    }
}
