//! Route netlink, as much as labs need: many changes in one system call.

use std::{
    cell::Cell,
    io,
    ops::ControlFlow,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::AddressMessage,
    link::LinkMessage,
    nsid::{NsidAttribute, NsidMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;

use crate::{Result, error::Context};

/// How many changes are sent to the kernel at once. Each is answered, and the answers must fit into the
/// socket's buffer.
const AT_ONCE: usize = 64;

/// Size of the receive buffer, in bytes; the kernel fills no more than 32 KiB.
const RECEIVED: usize = 32 * 1024;

/// A socket to the network namespace in which it was opened.
pub struct Netlink {
    socket: Socket,
    /// The sequence number of the next request.
    next: Cell<u32>,
}

/// One change, with a description for the user.
pub struct Change {
    /// What it does, e.g. `attach server to lan`.
    pub what: String,
    /// The kernel's message for it.
    pub message: RouteNetlinkMessage,
}

impl Netlink {
    /// Opens a socket to this process's network namespace.
    pub fn open() -> Result<Self> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_cap_ack(true)?;
            io::Result::Ok(Self { socket, next: Cell::new(1) })
        };
        open().or_lab(|| "cannot talk to the kernel about the network")
    }

    /// Makes the changes in this order. An error says which one failed, and why.
    pub fn apply(&self, changes: &[Change]) -> Result<()> {
        changes.chunks(AT_ONCE).try_for_each(|some| self.apply_at_once(some))
    }

    fn apply_at_once(&self, changes: &[Change]) -> Result<()> {
        let requests = changes.iter().map(|change| (flags(&change.message), change.message.clone()));
        self.acknowledged("cannot set up the network", requests, |request, error| {
            Err(error).or_lab(|| format!("cannot {}", changes[request].what))
        })
    }

    /// Sends requests, given with what their flags have besides, and waits until each is acknowledged. `unsent` says
    /// what could not be done if they cannot be sent, and `failed` what comes of one that is refused, given by its index.
    fn acknowledged(
        &self,
        unsent: &str,
        requests: impl ExactSizeIterator<Item = (u16, RouteNetlinkMessage)>,
        failed: impl Fn(usize, io::Error) -> Result<()>,
    ) -> Result<()> {
        let count = requests.len();
        let requests = requests.map(|(flags, message)| (NLM_F_REQUEST | NLM_F_ACK | flags, message));
        let first = self.send(requests).or_lab(|| unsent)?;
        let mut waiting = count;
        self.answers(first, count, |request, answer| {
            let NetlinkPayload::Error(answer) = answer else { return Ok(ControlFlow::Continue(())) };
            // An acknowledgement is an error without a code.
            if answer.code.is_some() {
                failed(request, answer.to_io())?;
            }
            waiting -= 1;
            Ok(if waiting == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }

    /// Removes an interface, and with it the other end of a pair. It is not an error if it does not exist or
    /// disappears meanwhile.
    pub fn remove(&self, index: u32) -> Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        self.delete("remove a link", RouteNetlinkMessage::DelLink(link), Errno::ENODEV)
    }

    /// Removes something. It is not an error if it does not exist, for which the kernel returns `absent`.
    pub fn delete(&self, what: &str, message: RouteNetlinkMessage, absent: Errno) -> Result<()> {
        let what = format!("cannot {what}");
        self.acknowledged(&what, [(0, message)].into_iter(), |_, error| {
            if error.raw_os_error() == Some(absent as i32) { Ok(()) } else { Err(error).or_lab(|| &what) }
        })
    }

    /// Returns every interface of the namespace.
    pub fn links(&self) -> Result<Vec<LinkMessage>> {
        self.list(RouteNetlinkMessage::GetLink(LinkMessage::default()), |message| match message {
            RouteNetlinkMessage::NewLink(link) => Some(link),
            _ => None,
        })
    }

    /// Returns every IPv6 address of the namespace.
    pub fn ipv6_addresses(&self) -> Result<Vec<AddressMessage>> {
        let mut wanted = AddressMessage::default();
        wanted.header.family = AddressFamily::Inet6;
        self.list(RouteNetlinkMessage::GetAddress(wanted), |message| match message {
            RouteNetlinkMessage::NewAddress(address) => Some(address),
            _ => None,
        })
    }

    fn list<T>(
        &self,
        request: RouteNetlinkMessage,
        wanted: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>> {
        let what = || "cannot list the interfaces";
        let first = self.send([(NLM_F_REQUEST | NLM_F_DUMP, request)].into_iter()).or_lab(what)?;
        let mut found = Vec::new();
        self.answers(first, 1, |_, answer| match answer {
            NetlinkPayload::InnerMessage(message) => {
                found.extend(wanted(message));
                Ok(ControlFlow::Continue(()))
            }
            NetlinkPayload::Done(_) => Ok(ControlFlow::Break(())),
            NetlinkPayload::Error(e) => Err(e.to_io()).or_lab(what),
            _ => Ok(ControlFlow::Continue(())),
        })?;
        Ok(found)
    }

    /// Returns the number by which this namespace knows a process's network namespace; `None` if it has no
    /// number for it.
    pub fn namespace_of(&self, process: i32) -> Result<Option<i32>> {
        let what = || format!("cannot find the network of process {process}");
        let mut request = NsidMessage::default();
        request.attributes = vec![NsidAttribute::Pid(process.cast_unsigned())];
        let request = RouteNetlinkMessage::GetNsId(request);
        let first = self.send([(NLM_F_REQUEST, request)].into_iter()).or_lab(what)?;
        self.answers(first, 1, |_, answer| match answer {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNsId(answer)) => {
                Ok(ControlFlow::Break(answer.attributes.iter().find_map(|attribute| match attribute {
                    NsidAttribute::Id(id @ 0..) => Some(*id),
                    _ => None,
                })))
            }
            NetlinkPayload::Error(e) => Err(e.to_io()).or_lab(what),
            _ => Ok(ControlFlow::Continue(())),
        })
    }

    /// Sends requests, given with their flags, at once. Returns the sequence number of the first; the others'
    /// follow.
    fn send(&self, requests: impl Iterator<Item = (u16, RouteNetlinkMessage)>) -> io::Result<u32> {
        let first = self.next.get();
        let mut bytes = Vec::new();
        for (flags, message) in requests {
            append(&mut bytes, self.next.get(), flags, message);
            self.next.set(self.next.get().wrapping_add(1));
        }
        self.socket.send(&bytes, 0).map(|_| first)
    }

    /// Receives answers until `take` has all it needs. It is passed the index, among the `count` requests
    /// from `first` on, of the request that each one answers. Answers to any other request are late, and are
    /// ignored.
    fn answers<T>(
        &self,
        first: u32,
        count: usize,
        mut take: impl FnMut(usize, NetlinkPayload<RouteNetlinkMessage>) -> Result<ControlFlow<T>>,
    ) -> Result<T> {
        loop {
            for message in self.receive()? {
                let request = message.header.sequence_number.wrapping_sub(first) as usize;
                if request < count
                    && let ControlFlow::Break(done) = take(request, message.payload)?
                {
                    return Ok(done);
                }
            }
        }
    }

    fn receive(&self) -> Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
        let mut buffer = Vec::with_capacity(RECEIVED);
        let what = || "cannot parse the kernel's answer about the network";
        self.socket.recv(&mut buffer, 0).or_lab(what)?;
        messages(&buffer).or_lab(what)
    }
}

/// Returns the flags for a change: objects added must be new, except that a route replaces one to the same
/// subnet. Removals get no flags: there the kernel uses the same bits for other purposes.
fn flags(change: &RouteNetlinkMessage) -> u16 {
    match change {
        RouteNetlinkMessage::DelAddress(_) | RouteNetlinkMessage::DelRoute(_) => 0,
        RouteNetlinkMessage::NewRoute(_) => NLM_F_CREATE | NLM_F_REPLACE,
        _ => NLM_F_CREATE | NLM_F_EXCL,
    }
}

/// Parses the messages of a datagram.
pub(crate) fn messages(mut rest: &[u8]) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let message = NetlinkMessage::deserialize(rest).map_err(io::Error::other)?;
        // Messages start at multiples of four.
        let length = (message.header.length as usize).next_multiple_of(4).min(rest.len());
        if length == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        rest = &rest[length..];
        messages.push(message);
    }
    Ok(messages)
}

/// Notifies of every change to the interfaces of the namespace in which it was opened.
pub struct LinkNews(Socket);

impl LinkNews {
    /// Starts listening.
    pub fn open() -> Result<Self> {
        const RTNLGRP_LINK: u32 = 1;
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.add_membership(RTNLGRP_LINK)?;
            socket.set_non_blocking(true)?;
            io::Result::Ok(Self(socket))
        };
        open().or_lab(|| "cannot watch the interfaces")
    }

    /// Discards the notifications so far.
    pub fn drain(&self) {
        let mut buffer = Vec::with_capacity(RECEIVED);
        // Also continues after ENOBUFS, which means that notifications were lost: their number does not
        // matter.
        loop {
            buffer.clear();
            match self.0.recv(&mut buffer, 0) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }
}

impl AsFd for LinkNews {
    #[allow(unsafe_code)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket stays open while `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

fn append(bytes: &mut Vec<u8>, number: u32, flags: u16, message: RouteNetlinkMessage) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = number;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
    message.serialize(&mut bytes[start..]);
}
