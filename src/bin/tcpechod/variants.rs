//! Other ways to serve than a child a client: one client after another, a pool of servers started
//! beforehand, a thread a client.

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

/// One client after another, in one process: the next is served when the last has closed.
pub fn sequential_server(msock: &TcpListener, options: &Options) -> ! {
    let who = format!("server {}", getpid());
    loop {
        let ssock = accept(msock);
        echo(&ssock, &who).unwrap_or_else(complain);
        close(ssock, options);
    }
}

/// Sequential servers, forked before the first client comes, all of them waiting in accept(2) on the
/// same socket; the kernel gives each connection to one. No client waits for a fork. The parent only
/// waits for them.
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

/// A thread a client. All share this process: its descriptors, its variables, and its end, if a
/// signal such as SIGPIPE ends it.
pub fn threaded_server(msock: &TcpListener) -> ! {
    loop {
        let ssock = accept(msock);
        let serve = move || echo(&ssock, &format!("thread {}", gettid())).unwrap_or_else(complain);
        thread::Builder::new().spawn(serve).unwrap_or_else(|e| fail(format!("thread: {}", strerror(e))));
    }
}
