//! tcpechod [port]: a concurrent echo server. Each client is served by its own process.
//!
//! It works as it is. Two things are missing, which you add in sections 5 and 6 of WORKSHEET.md: look for
//! "SECTION" below.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    process::exit,
};

use nix::{
    sys::signal::{signal, SigHandler, Signal},
    unistd::{fork, getpid, ForkResult},
};

const BUFFER_SIZE: usize = 8192;

// SECTION 5. The kernel sends SIGCHLD when a child has ended. Write the handler here, an
// `extern "C" fn reaper(_: i32)`, and install it in main. It must call `nix::sys::wait::waitpid` with
// WNOHANG for every child that has ended, and must not block on those that have not.

// SECTION 6. Write a handler for SIGPIPE here, following the example of the one for SIGCHLD. It should
// print that it was called. Which functions may a handler call for that? See signal-safety(7).

fn main() {
    // Rust starts every program with SIGPIPE ignored; a program in C does not.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.unwrap_or_else(|e| fail("signal", e));

    let port: u16 = match std::env::args().nth(1) {
        Some(text) => text.parse().unwrap_or_else(|e| fail("port", e)),
        None => 7,
    };
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|e| fail("can't bind", e));

    // SECTION 5: install the handler for SIGCHLD.
    // SECTION 6: install the handler for SIGPIPE.

    loop {
        println!("waiting for connections on port {port}");
        let (connection, client) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue, // a signal handler ran
            Err(e) => fail("accept", e),
        };
        println!("connection from {client}");
        // This is the only thread, so no lock can be held by another one in the child.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(listener); // the child does not accept
                echo(connection);
                exit(0);
            }
            Ok(ForkResult::Parent { child }) => println!("process {child} serves it"),
            Err(e) => fail("fork", e),
        }
        // The parent's copy of the connection goes out of scope here, which closes it.
    }
}

/// The service: sends back what it receives, until the client closes.
fn echo(mut connection: TcpStream) {
    let mut buffer = [0; BUFFER_SIZE];
    loop {
        let length = match connection.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => length,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => fail("echo read", e),
        };
        println!("{} received {length} bytes", getpid());
        connection.write_all(&buffer[..length]).unwrap_or_else(|e| fail("echo write", e));
    }
}

fn fail(what: &str, error: impl std::fmt::Display) -> ! {
    eprintln!("{what}: {error}");
    exit(1)
}
