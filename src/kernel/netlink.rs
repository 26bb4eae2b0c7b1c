//! Route netlink, as much of it as labs need: many changes in one system call.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
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

/// How many changes go to the kernel at once. Each is answered, and the answers must fit into the
/// socket's buffer.
const AT_ONCE: usize = 64;

/// Room for what the kernel says in one go, in bytes; it fills no more than 32 KiB.
const RECEIVED: usize = 32 * 1024;

/// A socket to the network namespace that it was opened in.
pub struct Netlink(Socket);

/// One change, and what it is to the user.
pub struct Change {
    /// As in `attach server to lan`.
    pub what: String,
    /// The change, as the kernel takes it.
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
            io::Result::Ok(Self(socket))
        };
        open().or_lab(|| "cannot talk to the kernel about the network")
    }

    /// Makes the changes in this order. Says which one failed, and how.
    pub fn apply(&self, changes: &[Change]) -> Result<()> {
        changes.chunks(AT_ONCE).try_for_each(|some| self.apply_at_once(some))
    }

    fn apply_at_once(&self, changes: &[Change]) -> Result<()> {
        let mut bytes = Vec::new();
        for (number, change) in (0..).zip(changes) {
            // What is to go is not made: there the kernel takes the same bit for another one.
            let make = match change.message {
                RouteNetlinkMessage::DelAddress(_) => 0,
                _ => NLM_F_CREATE | NLM_F_EXCL,
            };
            append(&mut bytes, number, NLM_F_REQUEST | NLM_F_ACK | make, change.message.clone());
        }
        self.0.send(&bytes, 0).or_lab(|| "cannot set up the network")?;
        let mut answered = 0;
        while answered < changes.len() {
            for message in self.receive()? {
                let NetlinkPayload::Error(answer) = message.payload else { continue };
                answered += 1;
                if answer.code.is_some() {
                    let what = changes.get(message.header.sequence_number as usize).map_or("?", |c| &c.what);
                    return Err(answer.to_io()).or_lab(|| format!("cannot {what}"));
                }
            }
        }
        Ok(())
    }

    /// Removes an interface, and with it the other end of a pair. One that is not there, or goes by
    /// itself meanwhile, is as good.
    pub fn remove(&self, index: u32) -> Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        let mut bytes = Vec::new();
        append(&mut bytes, 0, NLM_F_REQUEST | NLM_F_ACK, RouteNetlinkMessage::DelLink(link));
        let what = || "cannot remove a link";
        self.0.send(&bytes, 0).or_lab(what)?;
        loop {
            for message in self.receive()? {
                let NetlinkPayload::Error(answer) = message.payload else { continue };
                let error = answer.to_io();
                let is_gone = error.raw_os_error() == Some(Errno::ENODEV as i32);
                return if answer.code.is_none() || is_gone { Ok(()) } else { Err(error).or_lab(what) };
            }
        }
    }

    /// Every interface of the namespace.
    pub fn links(&self) -> Result<Vec<LinkMessage>> {
        self.list(RouteNetlinkMessage::GetLink(LinkMessage::default()), |message| match message {
            RouteNetlinkMessage::NewLink(link) => Some(link),
            _ => None,
        })
    }

    /// Every IPv6 address of the namespace.
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
        let mut bytes = Vec::new();
        append(&mut bytes, 0, NLM_F_REQUEST | NLM_F_DUMP, request);
        self.0.send(&bytes, 0).or_lab(what)?;
        let mut found = Vec::new();
        loop {
            for message in self.receive()? {
                match message.payload {
                    NetlinkPayload::InnerMessage(message) => found.extend(wanted(message)),
                    NetlinkPayload::Done(_) => return Ok(found),
                    NetlinkPayload::Error(e) => return Err(e.to_io()).or_lab(what),
                    _ => {}
                }
            }
        }
    }

    /// The number by which this namespace knows that of a process; none if it knows none.
    pub fn namespace_of(&self, process: i32) -> Result<Option<i32>> {
        let what = || format!("cannot find the network of process {process}");
        let mut request = NsidMessage::default();
        request.attributes = vec![NsidAttribute::Pid(process.cast_unsigned())];
        let mut bytes = Vec::new();
        append(&mut bytes, 0, NLM_F_REQUEST, RouteNetlinkMessage::GetNsId(request));
        self.0.send(&bytes, 0).or_lab(what)?;
        loop {
            for message in self.receive()? {
                match message.payload {
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNsId(answer)) => {
                        return Ok(answer.attributes.iter().find_map(|attribute| match attribute {
                            NsidAttribute::Id(id @ 0..) => Some(*id),
                            _ => None,
                        }));
                    }
                    NetlinkPayload::Error(e) => return Err(e.to_io()).or_lab(what),
                    _ => {}
                }
            }
        }
    }

    fn receive(&self) -> Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
        let mut buffer = Vec::with_capacity(RECEIVED);
        let what = || "the kernel's answer about the network makes no sense";
        self.0.recv(&mut buffer, 0).or_lab(what)?;
        messages(&buffer).or_lab(what)
    }
}

/// The messages of a datagram.
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

/// Hears of every change to the interfaces of the namespace it was opened in.
pub struct LinkNews(Socket);

impl LinkNews {
    /// Listens from here on.
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

    /// Forgets what it has heard so far.
    pub fn drain(&self) {
        let mut buffer = Vec::with_capacity(RECEIVED);
        // Also goes on over ENOBUFS, which says that news were lost: nothing relies on their number.
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
        // SAFETY: the socket is open for as long as `self` is borrowed.
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
