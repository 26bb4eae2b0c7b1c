//! `tcpechod [port]`: the concurrent echo server (RFC 862), with one process for each client.
//!
//! The parent owns the passive socket and only accepts and forks; each child owns one connection and
//! echoes what it receives until the client closes. Read `main`, `concurrent_server` and `echo` here,
//! then `reaper` in `signals.rs`: that is the whole program. The rest are variants, each of which does
//! one thing differently, to show what that thing is for (`tcpechod --help`).
//!
//! The handout uses the names of Comer and Stevens (Internetworking with TCP/IP, vol. 3): `msock` is
//! the master socket, which is passive and only accepts; `ssock` is a slave socket, i.e. one
//! connection.
//!
//! Rust's standard library would need fewer lines for some of this, but behaves differently from the
//! assignment's C program: it sets `SO_REUSEADDR`, chooses the length of the listen queue, ignores
//! SIGPIPE and sends with `MSG_NOSIGNAL`. So this program makes the system calls itself.

mod options;
mod passive;
mod print;
mod signals;
mod variants;

use std::{
    net::TcpListener,
    os::fd::{IntoRawFd, OwnedFd},
};

use nix::{
    sys::signal::{SigHandler, Signal},
    unistd::{ForkResult, fork, getpid, read},
};

use options::{Mode, Options, Sigpipe};
use print::{exit_now, fail, say, strerror, write_all};
use signals::handle;

/// The size of the buffer for one read(2).
const BUFFER_SIZE: usize = 8192;

fn main() {
    let options = Options::from_arguments();

    // Rust starts every program with SIGPIPE ignored and with handlers for the other two signals. A C
    // program starts without, and part of the assignment is to see what signals do.
    for which in [Signal::SIGPIPE, Signal::SIGSEGV, Signal::SIGBUS] {
        handle(which, SigHandler::SigDfl);
    }
    if options.sigpipe == Sigpipe::Handler {
        handle(Signal::SIGPIPE, SigHandler::Handler(signals::tell_sigpipe));
    }

    let msock = passive::passive_tcp(&options);
    match options.mode {
        Mode::Fork => concurrent_server(msock, &options),
        Mode::Sequential => variants::sequential_server(&msock, &options),
        Mode::Pool(size) => variants::pool_of_servers(&msock, size, &options),
        Mode::Threads => variants::threaded_server(&msock),
    }
}

/// The server of the assignment: accepts, and forks a child for each connection.
fn concurrent_server(msock: TcpListener, options: &Options) -> ! {
    handle(Signal::SIGCHLD, options.reaper.handler());
    loop {
        let ssock = accept(&msock);
        // SAFETY: in this mode the program has one thread, so the child finds no lock held by another.
        #[allow(unsafe_code)]
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(msock); // close(2): only the parent accepts.
                echo(&ssock, &format!("child {}", getpid())).unwrap_or_else(|why| fail(why));
                exit_now(0)
            }
            // The child has the connection. If the parent kept it open as well, the client would never
            // see it end.
            Ok(ForkResult::Parent { .. }) => close(ssock, options),
            Err(e) => fail(format!("fork: {}", strerror(e))),
        }
    }
}

/// Waits for a client, and prints its address. Any error ends this server, to make it visible; a server in
/// production would continue after temporary ones, such as ECONNABORTED (the client left while it waited) or
/// EMFILE (too many descriptors).
fn accept(msock: &TcpListener) -> OwnedFd {
    let (ssock, peer) = msock.accept().unwrap_or_else(|e| fail(format!("accept: {}", strerror(e))));
    say(format!("connection from {} port {}", peer.ip(), peer.port()));
    ssock.into()
}

/// close(2), or with `--keep-open` the classic mistake: the descriptor is forgotten and stays open.
fn close(ssock: OwnedFd, options: &Options) {
    if options.keep_open {
        let _forgotten = ssock.into_raw_fd();
    } else {
        drop(ssock);
    }
}

/// Sends back whatever a connection receives, until the other end closes. `who` names this process or
/// thread. The error is one line for standard error.
fn echo(ssock: &OwnedFd, who: &str) -> Result<(), String> {
    let mut buffer = [0; BUFFER_SIZE];
    loop {
        let received = match read(ssock, &mut buffer) {
            Ok(0) => break,
            Ok(n) => &buffer[..n],
            Err(e) => return Err(format!("echo read: {}", strerror(e))),
        };
        // Quoted, so that no client can send an escape sequence to our terminal.
        say(format!("{who} received {:?}", String::from_utf8_lossy(received)));
        write_all(ssock, received).map_err(|e| format!("echo write: {}", strerror(e)))?;
    }
    say(format!("{who} is done: the client closed"));
    Ok(())
}
