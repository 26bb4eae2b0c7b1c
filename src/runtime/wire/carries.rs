//! Whether a lab's wire carries: each host is heard by all others of its segments.
//!
//! What is sent is a datagram to everyone, since that needs no ARP and is answered by nobody: hosts remember nothing
//! of it, and captures made later show a lab in which nothing was said before.

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

/// How long it may take until everybody is heard.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often those that were not heard by all speak again.
const AGAIN: Duration = Duration::from_millis(20);
/// So many hosts of a segment speak; all listen.
const MOST_SPEAKERS: usize = 64;
/// How often a port may turn out to be some host's own.
const TRIES: usize = 5;

const WORDS: &[u8] = b"netlab: is anybody there?";

/// A host's link, seen from inside the host.
struct Link<'p> {
    host: &'p HostPlan,
    segment: &'p str,
    address: Ipv4Addr,
    socket: UdpSocket,
    /// Whom it has heard of those that speak.
    heard: BTreeSet<Ipv4Addr>,
}

/// Tries the wire between hosts, given with their PID 1s. This process's thread is on the network of some host
/// afterwards.
///
/// # Errors
/// Somebody is not heard, or it cannot be tried.
pub fn between(hosts: &[(&HostPlan, BorrowedFd<'_>)]) -> Result<()> {
    let what = || "cannot try the lab's wire";
    for _ in 0..TRIES {
        match links(hosts) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
            links => return all_hear(links.or_lab(what)?),
        }
    }
    Err(Error::lab(what()).caused_by(Errno::EADDRINUSE))
}

/// All links, each with a socket of the same port on its host.
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
            // One whose link is not up yet speaks when it is.
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

/// Which of its segment's links it is.
fn place(links: &[Link<'_>], n: usize) -> usize {
    links[..n].iter().filter(|link| link.segment == links[n].segment).count()
}

fn others(links: &[Link<'_>], speakers: &[usize], link: &Link<'_>) -> BTreeSet<Ipv4Addr> {
    let all = speakers.iter().map(|n| &links[*n]).filter(|other| other.segment == link.segment);
    all.map(|other| other.address).filter(|address| *address != link.address).collect()
}

/// Takes in what has come to those who still miss somebody; waits for it if nothing has.
fn listen(links: &mut [Link<'_>], wanted: &[BTreeSet<Ipv4Addr>], left: Duration) -> Result<()> {
    let missing = || links.iter().zip(wanted).filter(|(link, wanted)| link.heard != **wanted);
    let mut fds: Vec<_> =
        missing().map(|(link, _)| PollFd::new(link.socket.as_fd(), PollFlags::POLLIN)).collect();
    // At least so long that it is no busy loop.
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
        // Whatever else there is to hear comes from the hosts themselves, and is not for us.
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
