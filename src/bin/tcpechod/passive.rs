//! The passive socket, on which connections arrive.

use std::{net::TcpListener, os::fd::AsRawFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
    sockopt::ReuseAddr,
};

use crate::{
    options::Options,
    print::{fail, say, strerror},
};

/// Returns a socket that listens on the port, on every address of this host.
pub fn passive_tcp(options: &Options) -> TcpListener {
    let port = options.port;
    let msock = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .unwrap_or_else(|e| fail(format!("can't create socket: {}", strerror(e))));
    if options.reuseaddr {
        setsockopt(&msock, ReuseAddr, &true)
            .unwrap_or_else(|e| fail(format!("can't set SO_REUSEADDR: {}", strerror(e))));
    }
    bind(msock.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, port))
        .unwrap_or_else(|e| fail(format!("can't bind to {port} port: {}", strerror(e))));
    Backlog::new(options.backlog)
        .and_then(|backlog| listen(&msock, backlog))
        .unwrap_or_else(|e| fail(format!("can't listen on {port} port: {}", strerror(e))));

    let msock = TcpListener::from(msock);
    let port = msock.local_addr().map_or(port, |address| address.port());
    say(format!("waiting for connections on port {port}"));
    msock
}
