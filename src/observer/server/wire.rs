//! Captures the packets of every segment with libpcap.

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

/// Bytes kept of a frame: all of it, since a host's link does its own TCP segmentation, as its checksum
/// offload is off. With the ring's own header this makes a slot of 2 KiB, so that the ring holds sixteen
/// thousand frames, rather than the five hundred it would hold with room for any length.
const SNAPLEN: i32 = 1900;
/// Bytes of frames collected before they are written even though more packets wait.
const BATCH: usize = 256 << 10;

/// How long packets of several segments are held, in nanoseconds: by then earlier packets are in the kernel's
/// rings.
const HELD: Nanos = 1_000_000;

/// One segment under capture.
pub struct Tap {
    index: u16,
    segment: Interface,
    capture: Capture<Active>,
    dropped: u32,
    /// Time of the last packet read.
    latest: Nanos,
}

/// How to capture.
pub struct Manner {
    /// Whether each packet is delivered as soon as it has passed.
    pub immediate: bool,
    /// Otherwise, how long the kernel may collect packets, in milliseconds.
    pub collect: i32,
    /// Size of the kernel's ring for one segment, in bytes: how much may pass while the reader is busy.
    pub ring: i32,
}

const LIVE: Manner = Manner { immediate: true, collect: 0, ring: 32 << 20 };

impl Tap {
    /// Opens the capture; no packet is missed from then on.
    pub fn open(index: u16, segment: &Interface) -> Result<Self> {
        Ok(Self { index, segment: segment.clone(), capture: open(segment, &LIVE)?, dropped: 0, latest: 0 })
    }

    /// Reads up to a batch of packets. Returns whether there may be more.
    fn drain(&mut self, merger: &mut Merger) -> Result<bool, pcap::Error> {
        let Self { index, capture, latest, .. } = self;
        merger.read(capture, BATCH, |at, packet, out| {
            *latest = at;
            encode_packet(*index, at, packet.header.len, packet.data, out);
        })
    }

    /// Reports packets that passed while the reader was too slow for the kernel's ring.
    fn report_dropped(&mut self, out: &mut Vec<u8>) {
        let Ok(stat) = self.capture.stats() else { return };
        let lost = stat.dropped.wrapping_sub(self.dropped);
        if lost > 0 {
            self.dropped = stat.dropped;
            let why = format!("{lost} packets on segment {} were dropped", self.segment.name);
            encode_json(&Message::ObservationLost { at: now(), why }, out);
        }
    }
}

/// Opens a capture; no packet is missed from then on.
pub fn open(segment: &Interface, manner: &Manner) -> Result<Capture<Active>> {
    super::no_dbus::keep();
    let what = || format!("cannot capture segment {} on {}", segment.name, segment.device);
    let capture = Capture::from_device(segment.device.as_str())
        // A bridge shows the frames that it forwards only in promiscuous mode.
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
    // SAFETY: the capture owns the descriptor and keeps it open while it is borrowed.
    let fd = unsafe { BorrowedFd::borrow_raw(capture.as_raw_fd()) };
    PollFd::new(fd, PollFlags::POLLIN)
}

/// Requests to be answered once everything that has passed was sent.
pub struct Requests {
    ids: mpsc::Receiver<u64>,
    bell: Arc<EventFd>,
}

/// The sender of such requests.
#[derive(Clone)]
pub struct Requester {
    ids: mpsc::Sender<u64>,
    bell: Arc<EventFd>,
}

impl Requests {
    pub fn new() -> Result<(Requester, Self)> {
        let bell = Arc::new(EventFd::new().or_lab(|| "cannot make an event descriptor")?);
        let (send, ids) = mpsc::channel();
        Ok((Requester { ids: send, bell: bell.clone() }, Self { ids, bell }))
    }
}

impl Requester {
    /// Requests that [`Message::Done`] be sent after every packet that has passed by now.
    pub fn done(&self, id: u64) {
        if self.ids.send(id).is_ok() {
            // Fails only if the counter is full, and then the reader is already woken.
            let _ = self.bell.write(1);
        }
    }
}

/// Sends packets as they arrive, in order of time, and wakes the sampler, until the program ends.
pub fn run(mut taps: Vec<Tap>, requests: &Requests, wakes: &mpsc::SyncSender<Wake>, output: &Output) {
    let several = taps.len() > 1;
    let (mut merger, mut waiting) = (Merger::default(), Vec::new());
    let mut more = false;
    loop {
        let timeout = match (more, merger.is_empty() && waiting.is_empty()) {
            (true, _) => PollTimeout::ZERO,
            (false, true) => PollTimeout::NONE,
            (false, false) => PollTimeout::from(1u8),
        };
        if wait(&taps, &requests.bell, timeout) {
            let _ = requests.bell.read();
        }
        let begun = now();
        waiting.extend(requests.ids.try_iter().map(|id| (begun, id)));
        // The time until which all packets have been read.
        let mut settled = if several { begun.saturating_sub(HELD) } else { Nanos::MAX };
        more = false;
        let mut out = Vec::new();
        taps.retain_mut(|tap| {
            let before = merger.len();
            let drained = tap.drain(&mut merger);
            if merger.len() > before {
                tap.report_dropped(&mut out);
                // If it is full, the sampler has reason enough to sample.
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

/// Waits for a packet on any segment, or for the bell; returns whether it was the bell.
fn wait(taps: &[Tap], bell: &EventFd, timeout: PollTimeout) -> bool {
    let mut fds: Vec<_> = taps.iter().map(|tap| readable(&tap.capture)).collect();
    fds.push(PollFd::new(std::os::fd::AsFd::as_fd(bell), PollFlags::POLLIN));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => fds.last().and_then(PollFd::any).unwrap_or(false),
        Err(_) => std::process::exit(3),
    }
}
