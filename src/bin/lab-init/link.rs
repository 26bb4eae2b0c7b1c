//! Configures the host's links so that a capture shows what a real wire would carry.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use netlab::errno::strerror;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    libc,
    net::if_::{InterfaceFlags, if_nameindex},
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

use crate::report;

/// ethtool's command to set TX checksum offload (`linux/ethtool.h`).
const ETHTOOL_STXCSUM: u32 = 0x17;

/// The argument of an ethtool command that sets one value (`linux/ethtool.h`).
#[repr(C)]
struct EthtoolValue {
    command: u32,
    value: u32,
}

/// rtnetlink(7)'s groups of notifications about links and IPv4 addresses.
const LINK_NEWS: u32 = (libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR).cast_unsigned();

/// Waits until this many links are up and have an address: some may appear after this process has started.
pub fn wait_for(count: usize) -> io::Result<()> {
    let mut news = Socket::new(NETLINK_ROUTE)?;
    news.bind(&SocketAddr::new(0, LINK_NEWS))?;
    // Changes are noticed from here on, so none falls between a check and the next notification.
    while ready()? < count {
        news.recv_from_full()?;
    }
    Ok(())
}

fn ready() -> io::Result<usize> {
    let flags = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_LOOPBACK;
    let addresses = getifaddrs()?.filter(|a| {
        a.flags & flags == InterfaceFlags::IFF_UP
            && a.address.is_some_and(|address| address.as_sockaddr_in().is_some())
    });
    Ok(addresses.map(|a| a.interface_name).collect::<HashSet<_>>().len())
}

/// Makes the kernel put a real checksum into every packet that leaves this host.
///
/// A virtual link carries packets without checksums, because nothing can damage them on the way; a capture
/// would then show every packet as bad. If a link cannot be changed, this is reported, but the link still
/// works.
pub fn disable_tx_checksum_offload() {
    let links = if_nameindex().map_err(io::Error::from);
    let control = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None);
    let (links, control) = match (links, control.map_err(io::Error::from)) {
        (Ok(links), Ok(control)) => (links, control),
        (Err(e), _) | (_, Err(e)) => return report(&format!("can't list the links: {}", strerror(e))),
    };
    for link in links.iter().filter(|link| link.name() != c"lo") {
        if let Err(e) = set_tx_checksum(&control, link.name().to_bytes_with_nul(), 0) {
            let name = link.name().to_string_lossy();
            report(&format!("can't turn off checksum offload on {name}: {}", strerror(e)));
        }
    }
}

/// Sets one link's TX checksum offload; `name` ends with a zero byte and fits `IFNAMSIZ`.
fn set_tx_checksum(control: &OwnedFd, name: &[u8], value: u32) -> nix::Result<()> {
    let mut argument = EthtoolValue { command: ETHTOOL_STXCSUM, value };
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(name) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let request = libc::ifreq {
        ifr_name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: (&raw mut argument).cast() },
    };
    // SAFETY: both structures have the layout of the kernel's headers and outlive the call, which reads the
    // name and the two numbers and keeps no pointer.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCETHTOOL, &raw const request) };
    Errno::result(result).map(drop)
}
