//! `tcpecho [host [port]]`: the echo client (RFC 862). Sends what you type and prints what comes back.
//!
//! Two options before the host change what it does: with `--reset` it reads no echo, and closes with a RST
//! instead of a FIN; with `--connections N` it opens N connections, one after another, sends a line on each,
//! and prints how long that took.
//!
//! Each line is one write(2), and the next line waits until as many bytes have come back. So a capture shows
//! one TCP segment out and one back for each line.

use std::{
    fs::File,
    io::{self, BufRead, Read, Write},
    net::TcpStream,
    os::fd::OwnedFd,
    process::exit,
    time::Instant,
};

use nix::{
    libc,
    sys::{
        signal::{SigHandler, Signal, signal},
        socket::{setsockopt, sockopt::Linger},
    },
};

/// The most bytes sent at once; a longer line is sent in several pieces.
const LINE_LENGTH: usize = 1500;

fn main() {
    let arguments: Vec<String> = std::env::args_os().skip(1).map_while(|a| a.into_string().ok()).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    default_sigpipe();
    match words.as_slice() {
        ["--reset", rest @ ..] => talk(host_and_port(rest), true),
        ["--connections", n, rest @ ..] => {
            measure(host_and_port(rest), n.parse().unwrap_or_else(|_| usage()));
        }
        rest => talk(host_and_port(rest), false),
    }
}

fn connect((host, port): (&str, u16)) -> TcpStream {
    // Resolves the name with getaddrinfo(3), and tries each address, IPv6 or IPv4, until one answers.
    TcpStream::connect((host, port))
        .unwrap_or_else(|e| fail(&format!("can't connect to {host} port {port}: {}", strerror(e))))
}

/// Sends what is typed, line by line; a rude client does not wait for the echo.
fn talk(server: (&str, u16), rude: bool) {
    let connection = connect(server);
    if rude {
        reset_on_close(&connection);
    }
    // A File uses plain read(2) and write(2), as a C program would.
    let mut connection = File::from(OwnedFd::from(connection));

    let mut typed = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        match typed.by_ref().take(LINE_LENGTH as u64).read_until(b'\n', &mut line) {
            Ok(0) => return, // ^D: the connection is closed when the program ends.
            Ok(_) => {}
            Err(e) => fail(&format!("can't read standard input: {}", strerror(e))),
        }
        connection.write_all(&line).unwrap_or_else(|e| fail(&format!("echo write: {}", strerror(e))));
        if !rude {
            print_echo(&mut connection, line.len());
        }
    }
}

/// Prints what comes back, until as many bytes have come as were sent.
fn print_echo(connection: &mut File, sent: usize) {
    let mut buffer = [0; LINE_LENGTH];
    let mut missing = sent;
    while missing > 0 {
        let echoed = match connection.read(&mut buffer[..missing]) {
            // TCP is a stream: the bytes of one write can come back in several reads, and 0 means the end of
            // the stream. Reading on would spin in a loop, because every further read returns 0 at once.
            Ok(0) => fail("the server closed the connection"),
            Ok(n) => &buffer[..n],
            Err(e) => fail(&format!("echo read: {}", strerror(e))),
        };
        missing -= echoed.len();
        let mut screen = io::stdout().lock();
        screen
            .write_all(echoed)
            .and_then(|()| screen.flush())
            .unwrap_or_else(|e| fail(&format!("can't print: {}", strerror(e))));
    }
}

/// Makes close(2) discard undelivered data and send a RST.
fn reset_on_close(connection: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(connection, Linger, &linger).unwrap_or_else(|e| fail(&format!("SO_LINGER: {}", strerror(e))));
}

/// Opens connections one after another, and sends one line there and back on each.
fn measure(server: (&str, u16), connections: u32) {
    let start = Instant::now();
    for _ in 0..connections {
        let mut connection = connect(server);
        let mut line = *b"one line\n";
        connection
            .write_all(&line)
            .and_then(|()| connection.read_exact(&mut line))
            .unwrap_or_else(|e| fail(&format!("echo: {}", strerror(e))));
    }
    let took = start.elapsed();
    let each = took.as_micros() / u128::from(connections.max(1));
    println!("{connections} connections in {} ms, {each} µs each", took.as_millis());
}

/// Rust starts every program with SIGPIPE ignored; a C program does not.
fn default_sigpipe() {
    // SAFETY: SIG_DFL installs no handler.
    #[allow(unsafe_code)]
    let changed = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    changed.unwrap_or_else(|e| fail(&format!("signal: {}", strerror(e))));
}

/// Returns the two arguments: where the echo server runs.
fn host_and_port<'a>(words: &[&'a str]) -> (&'a str, u16) {
    match *words {
        [] => ("localhost", 7),
        [host] => (host, 7),
        [host, port] => (host, port.parse().unwrap_or_else(|_| usage())),
        _ => usage(),
    }
}

fn usage() -> ! {
    fail("usage: tcpecho [host [port]]")
}

fn fail(why: &str) -> ! {
    eprintln!("{why}");
    exit(1)
}

/// Returns an error's text without the number that Rust appends, e.g. `Connection refused`.
fn strerror(error: impl Into<io::Error>) -> String {
    let text = error.into().to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
