//! Checks that a lab's wire works: each host is heard by all others on its segments.
//!
//! Hosts send broadcast datagrams, since those need no ARP and get no answer: hosts remember nothing of it,
//! and later captures show a lab in which nothing was sent before.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns},
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket,
        sockopt::{BindToDevice, Broadcast},
    },
};

use crate::{Error, Result, error::Context, topology::HostPlan};

/// Time limit until everybody is heard.
const PATIENCE: Duration = Duration::from_secs(5);
/// Interval at which hosts not yet heard by all send again.
const AGAIN: Duration = Duration::from_millis(20);
/// At most this many hosts of a segment speak; all listen.
const MOST_SPEAKERS: usize = 64;
/// How many ports are tried, since a host may already use one.
const TRIES: usize = 5;

const WORDS: &[u8] = b"netlab: is anybody there?";

/// A host's link, seen from inside the host.
struct Link<'p> {
    host: &'p HostPlan,
    segment: &'p str,
    address: Ipv4Addr,
    socket: UdpSocket,
    /// The speakers that it has heard.
    heard: BTreeSet<Ipv4Addr>,
}

/// Tests the wire between hosts, given with their PID 1s. Afterwards the calling thread is in some host's
/// network namespace.
///
/// # Errors
/// A host is not heard, or the test cannot be run.
pub fn between(hosts: &[(&HostPlan, BorrowedFd<'_>)]) -> Result<()> {
    let what = || "cannot test the lab's wire";
    for _ in 0..TRIES {
        match links(hosts) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
            links => return all_hear(links.or_lab(what)?),
        }
    }
    Err(Error::lab(what()).caused_by(Errno::EADDRINUSE))
}

/// Returns all links, each with a socket on its host, all on the same port.
fn links<'p>(hosts: &[(&'p HostPlan, BorrowedFd<'_>)]) -> io::Result<Vec<Link<'p>>> {
    let (mut links, mut port) = (Vec::new(), 0);
    for (host, init) in hosts {
        setns(init, CloneFlags::CLONE_NEWNET)?;
        for (n, link) in host.links.iter().enumerate() {
            let socket = open(&format!("eth{n}"), port)?;
            port = socket.local_addr()?.port();
            let (segment, address) = (link.segment.as_str(), link.address);
            links.push(Link { host, segment, address, socket, heard: BTreeSet::new() });
        }
    }
    Ok(links)
}

fn open(interface: &str, port: u16) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&socket, BindToDevice, &OsString::from(interface))?;
    setsockopt(&socket, Broadcast, &true)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)))?;
    Ok(socket.into())
}

fn all_hear(mut links: Vec<Link<'_>>) -> Result<()> {
    let speakers: Vec<_> = (0..links.len()).filter(|n| place(&links, *n) < MOST_SPEAKERS).collect();
    let wanted: Vec<BTreeSet<Ipv4Addr>> = links.iter().map(|link| others(&links, &speakers, link)).collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        for n in &speakers {
            // A host whose link is not up yet sends once it is.
            let _ = links[*n].say();
        }
        let until = Instant::now() + AGAIN;
        while links.iter().zip(&wanted).any(|(link, wanted)| link.heard != *wanted) {
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            listen(&mut links, &wanted, left)?;
        }
        let mut deaf = links.iter().zip(&wanted).filter(|(link, wanted)| link.heard != **wanted);
        match deaf.next() {
            None => return Ok(()),
            Some((link, wanted)) if Instant::now() > deadline => return Err(link.misses(wanted)),
            Some(_) => {}
        }
    }
}

/// Returns the link's index among those of its segment.
fn place(links: &[Link<'_>], n: usize) -> usize {
    links[..n].iter().filter(|link| link.segment == links[n].segment).count()
}

fn others(links: &[Link<'_>], speakers: &[usize], link: &Link<'_>) -> BTreeSet<Ipv4Addr> {
    let all = speakers.iter().map(|n| &links[*n]).filter(|other| other.segment == link.segment);
    all.map(|other| other.address).filter(|address| *address != link.address).collect()
}

/// Receives what has arrived for hosts that still miss somebody; waits if nothing has.
fn listen(links: &mut [Link<'_>], wanted: &[BTreeSet<Ipv4Addr>], left: Duration) -> Result<()> {
    let missing = || links.iter().zip(wanted).filter(|(link, wanted)| link.heard != **wanted);
    let mut fds: Vec<_> =
        missing().map(|(link, _)| PollFd::new(link.socket.as_fd(), PollFlags::POLLIN)).collect();
    // At least 1 ms, to avoid a busy loop.
    let timeout = PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout) {
        Err(Errno::EINTR) => {}
        other => other.map(drop).or_lab(|| "cannot listen to the lab's wire")?,
    }
    for (link, wanted) in links.iter_mut().zip(wanted) {
        link.take_in(wanted);
    }
    Ok(())
}

impl Link<'_> {
    fn say(&self) -> io::Result<()> {
        let port = self.socket.local_addr()?.port();
        self.socket.send_to(WORDS, (Ipv4Addr::BROADCAST, port)).map(drop)
    }

    fn take_in(&mut self, wanted: &BTreeSet<Ipv4Addr>) {
        let mut words = [0; WORDS.len()];
        // Everything else comes from the hosts themselves and is ignored.
        while let Ok((n, SocketAddr::V4(from))) = self.socket.recv_from(&mut words) {
            if words[..n] == *WORDS && wanted.contains(from.ip()) {
                self.heard.insert(*from.ip());
            }
        }
    }

    fn misses(&self, wanted: &BTreeSet<Ipv4Addr>) -> Error {
        let missed: Vec<_> = wanted.difference(&self.heard).map(Ipv4Addr::to_string).collect();
        let (host, segment) = (&self.host.name, self.segment);
        Error::lab(format!("{host} hears nothing on {segment} of {}", missed.join(", ")))
    }
}
