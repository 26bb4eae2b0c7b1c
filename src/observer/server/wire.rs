//! The packets of every segment, from libpcap.

use std::{
    os::fd::{AsRawFd, BorrowedFd},
    sync::{Arc, mpsc},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::EventFd,
};
use pcap::{Active, Capture, Linktype, Precision};

use super::{merge::Merger, now, output::Output, sampler::Wake};
use crate::{
    Error, Result,
    capture::Interface,
    error::Context,
    observer::protocol::{Message, encode_json, encode_packet},
    time::Nanos,
};

/// How much of a frame is kept, in bytes: all of it, since a host's link segments its frames itself, as
/// its checksum offload is off. With the ring's own header that is a slot of 2 KiB, so that the ring holds
/// sixteen thousand frames, and not the five hundred that it would with room for any length.
const SNAPLEN: i32 = 1900;
/// Frames collected before they are written though more packets wait, in bytes.
const BATCH: usize = 256 << 10;

/// How long packets of several segments are held, in nanoseconds: what passed before that is in the kernel's rings.
const HELD: Nanos = 1_000_000;

/// One segment under capture.
pub struct Tap {
    index: u16,
    segment: Interface,
    capture: Capture<Active>,
    dropped: u32,
    /// When the last packet passed that was read.
    latest: Nanos,
}

/// A way to capture.
pub struct Manner {
    /// Whether each packet is to be had as soon as it has passed.
    pub immediate: bool,
    /// Otherwise, how long the kernel may hold packets back to collect more, in milliseconds.
    pub collect: i32,
    /// The kernel's ring for one segment, in bytes: how much may pass while the reader is busy.
    pub ring: i32,
}

const LIVE: Manner = Manner { immediate: true, collect: 0, ring: 32 << 20 };

impl Tap {
    /// Opens the capture; from here on no packet is missed.
    pub fn open(index: u16, segment: &Interface) -> Result<Self> {
        Ok(Self { index, segment: segment.clone(), capture: open(segment, &LIVE)?, dropped: 0, latest: 0 })
    }

    /// Takes up to a batch of the packets that wait. Says whether there may be more.
    fn drain(&mut self, merger: &mut Merger) -> Result<bool, pcap::Error> {
        let most = merger.len() + BATCH;
        while merger.len() < most {
            match self.capture.next_packet() {
                Ok(pcap::Packet { header, data }) => {
                    let (index, at) = (self.index, time(header));
                    merger.push(at, |out| encode_packet(index, at, header.len, data, out));
                    self.latest = at;
                }
                Err(pcap::Error::TimeoutExpired) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Tells of packets that passed while the reader was too slow for the kernel's ring.
    fn tell_dropped(&mut self, out: &mut Vec<u8>) {
        let Ok(stat) = self.capture.stats() else { return };
        let lost = stat.dropped.wrapping_sub(self.dropped);
        if lost > 0 {
            self.dropped = stat.dropped;
            let why = format!("{lost} packets on segment {} were dropped", self.segment.name);
            encode_json(&Message::ObservationLost { at: now(), why }, out);
        }
    }
}

/// Opens a capture; from here on no packet is missed.
pub fn open(segment: &Interface, manner: &Manner) -> Result<Capture<Active>> {
    super::no_dbus::keep();
    let what = || format!("cannot capture segment {} on {}", segment.name, segment.device);
    let capture = Capture::from_device(segment.device.as_str())
        // A bridge hands on what is not for itself: only promiscuous it shows that.
        .map(|c| c.promisc(true).immediate_mode(manner.immediate).timeout(manner.collect))
        .map(|c| c.precision(Precision::Nano).snaplen(SNAPLEN).buffer_size(manner.ring))
        .and_then(Capture::open)
        .and_then(Capture::setnonblock)
        .or_lab(what)?;
    if capture.get_datalink() != Linktype::ETHERNET {
        return Err(Error::lab(what()).caused_by("it is not an Ethernet interface"));
    }
    Ok(capture)
}

/// A capture's descriptor, readable when a packet waits.
#[allow(unsafe_code)]
pub fn readable(capture: &Capture<Active>) -> PollFd<'_> {
    // SAFETY: the capture owns the descriptor and keeps it open for as long as it is borrowed.
    let fd = unsafe { BorrowedFd::borrow_raw(capture.as_raw_fd()) };
    PollFd::new(fd, PollFlags::POLLIN)
}

/// Nanoseconds: with that precision libpcap keeps them where microseconds would be.
pub fn time(header: &pcap::PacketHeader) -> Nanos {
    let (seconds, nanos) = (header.ts.tv_sec, header.ts.tv_usec);
    let seconds = Nanos::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000);
    seconds.saturating_add(Nanos::try_from(nanos).unwrap_or(0))
}

/// Who asked to be told when everything that has passed was sent.
pub struct Asked {
    ids: mpsc::Receiver<u64>,
    bell: Arc<EventFd>,
}

/// Where to ask it.
#[derive(Clone)]
pub struct Ask {
    ids: mpsc::Sender<u64>,
    bell: Arc<EventFd>,
}

impl Asked {
    pub fn new() -> Result<(Ask, Self)> {
        let bell = Arc::new(EventFd::new().or_lab(|| "cannot make an event descriptor")?);
        let (send, ids) = mpsc::channel();
        Ok((Ask { ids: send, bell: bell.clone() }, Self { ids, bell }))
    }
}

impl Ask {
    /// Has [`Message::Done`] sent after every packet that has passed by now.
    pub fn done(&self, id: u64) {
        if self.ids.send(id).is_ok() {
            // It fails only when the counter is full, and then the bell rings already.
            let _ = self.bell.write(1);
        }
    }
}

/// Sends packets as they come, in the order of their times, and wakes the sampler, for as long as the program runs.
pub fn run(mut taps: Vec<Tap>, asked: &Asked, wakes: &mpsc::SyncSender<Wake>, output: &Output) {
    let several = taps.len() > 1;
    let (mut merger, mut waiting) = (Merger::default(), Vec::new());
    let mut more = false;
    loop {
        let timeout = match (more, merger.is_empty() && waiting.is_empty()) {
            (true, _) => PollTimeout::ZERO,
            (false, true) => PollTimeout::NONE,
            (false, false) => PollTimeout::from(1u8),
        };
        if wait(&taps, &asked.bell, timeout) {
            let _ = asked.bell.read();
        }
        let begun = now();
        waiting.extend(asked.ids.try_iter().map(|id| (begun, id)));
        // Until when everything that has passed is here.
        let mut settled = if several { begun.saturating_sub(HELD) } else { Nanos::MAX };
        more = false;
        let mut out = Vec::new();
        taps.retain_mut(|tap| {
            let before = merger.len();
            let drained = tap.drain(&mut merger);
            if merger.len() > before {
                tap.tell_dropped(&mut out);
                // Where it is full there is reason enough to look already.
                let _ = wakes.try_send(Wake::Packet);
            }
            match drained {
                Ok(false) => true,
                Ok(true) => {
                    settled = settled.min(tap.latest);
                    more = true;
                    true
                }
                Err(e) => {
                    let why = format!("segment {} can no longer be seen: {e}", tap.segment.name);
                    encode_json(&Message::ObservationLost { at: now(), why }, &mut out);
                    false
                }
            }
        });
        merger.take(settled, &mut out);
        waiting.retain(|(at, id)| {
            let waits = *at > settled;
            if !waits {
                encode_json(&Message::Done { id: *id }, &mut out);
            }
            waits
        });
        output.send(&out);
    }
}

/// Waits for a packet on any segment, or for the bell; says whether it was the bell.
fn wait(taps: &[Tap], bell: &EventFd, timeout: PollTimeout) -> bool {
    let mut fds: Vec<_> = taps.iter().map(|tap| readable(&tap.capture)).collect();
    fds.push(PollFd::new(std::os::fd::AsFd::as_fd(bell), PollFlags::POLLIN));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => fds.last().and_then(PollFd::any).unwrap_or(false),
        Err(_) => std::process::exit(3),
    }
}
