//! Alternatives to one child per client: one client after another, a pool of servers started beforehand,
//! and one thread per client.

use std::{net::TcpListener, thread};

use nix::{
    sys::wait::wait,
    unistd::{ForkResult, fork, getpid, gettid},
};

use crate::{
    accept, close, echo,
    options::Options,
    print::{complain, fail, say, strerror},
};

/// Serves one client after another, in one process: the next one when the previous one has closed.
pub fn sequential_server(msock: &TcpListener, options: &Options) -> ! {
    let who = format!("server {}", getpid());
    loop {
        let ssock = accept(msock);
        echo(&ssock, &who).unwrap_or_else(complain);
        close(ssock, options);
    }
}

/// Runs sequential servers, forked before the first client comes, which all wait in accept(2) on the same
/// socket; the kernel gives each connection to one of them. No client waits for a fork. The parent only
/// waits for its children.
pub fn pool_of_servers(msock: &TcpListener, size: u16, options: &Options) -> ! {
    for _ in 0..size {
        // SAFETY: in this mode the program has one thread, so the child finds no lock held by another.
        #[allow(unsafe_code)]
        match unsafe { fork() } {
            Ok(ForkResult::Child) => sequential_server(msock, options),
            Ok(ForkResult::Parent { child }) => say(format!("server {child} started")),
            Err(e) => fail(format!("fork: {}", strerror(e))),
        }
    }
    while wait().is_ok() {}
    fail("every server of the pool has ended".to_owned())
}

/// Serves each client in a thread. All threads share this process: its descriptors, its variables, and its
/// end, if a signal such as SIGPIPE ends it.
pub fn threaded_server(msock: &TcpListener) -> ! {
    loop {
        let ssock = accept(msock);
        let serve = move || echo(&ssock, &format!("thread {}", gettid())).unwrap_or_else(complain);
        thread::Builder::new().spawn(serve).unwrap_or_else(|e| fail(format!("thread: {}", strerror(e))));
    }
}
