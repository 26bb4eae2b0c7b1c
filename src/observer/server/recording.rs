//! Packets that are to be recorded, in large pieces.
//!
//! Nobody waits for a single packet here, so the kernel collects them (`TPACKET_V3`) and wakes this end once for
//! many, and they cross to the reader as the blocks that the file is made of. Where the reader is slow this end waits
//! for it, and the ring fills; what there is no room for then is counted.

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
    tell,
    wire::{Manner, open, readable, time},
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

/// How long the kernel collects packets at most, in milliseconds.
const COLLECT: u16 = 50;
/// The kernel's rings together, in bytes, and the least for one segment: half a second at two gigabits a second, and an eighth.
const RINGS: i32 = 128 << 20;
const RING: i32 = 32 << 20;
/// How long packets of several segments are held, in nanoseconds: twice what the kernel collects for.
const HELD: Nanos = 100_000_000;
/// How much may be held, in bytes. Beyond that, a file in order is worth less than one that is whole.
const MOST_HELD: usize = 16 << 20;
/// How much is read of a segment at once, in bytes: about what the kernel collects in one piece.
const PIECE: usize = 256 << 10;
/// How long the last packets may take to be passed on.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records until `input` ends, and passes on what has passed by then.
pub fn serve(segments: &[Interface], mut input: impl Read, output: &Output) -> Result<()> {
    let ring = RINGS / i32::try_from(segments.len().max(1)).unwrap_or(i32::MAX);
    let manner = Manner { immediate: false, collect: COLLECT.into(), ring: ring.max(RING) };
    let taps: Vec<Tap> = (0..).zip(segments).map(|(i, s)| Tap::open(i, s, &manner)).collect::<Result<_>>()?;
    let mut recording = Recording { taps, merger: Merger::default() };
    tell(output, &Message::Ready { at: now() });
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
    // It fails only when the counter is full, and then the bell rings already.
    let _ = bell.write(1);
    recording.join().map_err(|_| Error::lab("the recording failed"))
}

/// What was waited for.
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
    /// How long to wait for more packets.
    fn held(&self) -> PollTimeout {
        if self.merger.is_empty() { PollTimeout::NONE } else { PollTimeout::from(COLLECT) }
    }

    /// Passes on what is in the rings, or in what the kernel still collects.
    fn finish(&mut self, output: &Output) {
        let (until, deadline) = (now(), Instant::now() + PATIENCE);
        while Instant::now() < deadline && self.wait(None, PollTimeout::from(2 * COLLECT)).ready {
            self.pass_on(output);
            self.taps.iter_mut().for_each(|tap| tap.over |= tap.latest > until);
        }
        self.send(Nanos::MAX, output);
        self.taps.iter_mut().for_each(|tap| tap.count(output, true));
        tell(output, &Message::Done { id: 0 });
    }

    /// Waits for packets on a segment that is not over, or for the bell.
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

    /// Takes one piece of what waits on each segment, and passes on what nothing earlier can come to.
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
    /// When the last packet passed that was passed on.
    latest: Nanos,
    /// Nothing more is to come from it.
    over: bool,
    /// How many packets were passed on.
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

    /// Takes up to one piece of what waits. Says whether there may be more.
    fn read(&mut self, merger: &mut Merger, output: &Output) -> bool {
        let most = merger.len() + PIECE;
        while merger.len() < most {
            match self.capture.next_packet() {
                Ok(pcap::Packet { header, data }) => {
                    let (segment, at, original_len) = (self.index, time(header), header.len);
                    let packet = Packet { segment, at, original_len, data };
                    merger.push(at, |out| enhanced_packet(out, &packet, None));
                    self.latest = at;
                    self.passed += 1;
                }
                Err(pcap::Error::TimeoutExpired) => return false,
                Err(error) => {
                    self.over = true;
                    let why = format!("segment {} can no longer be seen: {error}", self.name);
                    tell(output, &Message::ObservationLost { at: now(), why });
                    return false;
                }
            }
        }
        true
    }

    /// Tells how many came and were dropped, if more were dropped than told or if it is to be told `anyway`.
    fn count(&mut self, output: &Output, anyway: bool) {
        let Ok(stat) = self.capture.stats() else { return };
        let news = self.counted.take_in(stat.received, stat.dropped);
        if news || anyway {
            let dropped = self.counted.dropped;
            // What has passed since the end is in the kernel's count, and is neither recorded nor lost.
            let received = if self.over { self.passed + dropped } else { self.counted.received };
            let mut out = Vec::new();
            encode_json(&Message::Counted { segment: self.index, received, dropped }, &mut out);
            output.send(&out);
        }
    }
}

/// libpcap's counts, which wrap around at 2^32, without that.
#[derive(Default)]
struct Counted {
    received: u64,
    dropped: u64,
}

impl Counted {
    /// Takes in libpcap's; says whether more were dropped.
    fn take_in(&mut self, received: u32, dropped: u32) -> bool {
        let more = [(&mut self.received, received), (&mut self.dropped, dropped)].map(|(count, now)| {
            #[allow(clippy::cast_possible_truncation)] // it is this half that libpcap has
            let more = now.wrapping_sub(*count as u32);
            *count += u64::from(more);
            more
        });
        more[1] > 0
    }
}
