//! `tcpechod` and `tcpecho`, run as programs on the loopback interface.

mod harness;
mod variants;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    process::{Command, Output, Stdio},
};

use harness::{Client, Server, echo, until};
use nix::sys::{
    signal::Signal,
    socket::{setsockopt, sockopt::Linger},
};

const CLIENT: &str = env!("CARGO_BIN_EXE_tcpecho");
const SERVER: &str = env!("CARGO_BIN_EXE_tcpechod");

/// Runs a program to its end with this input.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    assert_cmd::Command::new(program).args(arguments).write_stdin(input).output().unwrap()
}

#[test]
fn a_line_comes_back_and_the_server_tells_of_it() {
    let server = Server::start(&[]);
    let output = run(CLIENT, &["127.0.0.1", &server.port()], b"hello\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello\n");
    assert_eq!(output.stderr, b"");
    let connection = server.line();
    assert!(connection.starts_with("connection from 127.0.0.1 port "), "{connection}");
    let received = server.line();
    assert!(received.starts_with("child ") && received.ends_with(r#" received "hello\n""#), "{received}");
    assert!(server.line().ends_with("is done: the client closed"));
}

#[test]
fn a_name_is_looked_up_and_each_of_its_addresses_is_tried() {
    // localhost is also ::1, where nobody listens.
    let server = Server::start(&[]);
    assert_eq!(run(CLIENT, &["localhost", &server.port()], b"by name\n").stdout, b"by name\n");
}

#[test]
fn a_long_line_goes_in_pieces_of_1500() {
    let server = Server::start(&[]);
    let line = [vec![b'x'; 3199], vec![b'\n']].concat();
    assert_eq!(run(CLIENT, &["127.0.0.1", &server.port()], &line).stdout, line);
    server.line();
    let pieces: Vec<_> = (0..3).map(|_| server.line().matches('x').count()).collect();
    // "received" has no x of its own; the last piece ends with the newline.
    assert_eq!(pieces, [1500, 1500, 199]);
}

#[test]
fn any_bytes_come_back_unchanged() {
    let server = Server::start(&[]);
    let bytes: Vec<u8> = (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let output = run(CLIENT, &["127.0.0.1", &server.port()], &bytes);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == bytes);
}

#[test]
fn a_write_larger_than_every_buffer_comes_back_whole() {
    let server = Server::start(&[]);
    let bytes = vec![b'z'; 3_000_000];
    let mut stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    let sent = bytes.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == bytes);
}

#[test]
fn a_client_that_stops_sending_still_gets_its_echo_and_then_the_end() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    stream.write_all(b"last words").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "last words");
}

#[test]
fn clients_are_served_at_once_each_by_its_own_child() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for client in clients.iter_mut().rev() {
        assert_eq!(echo(client, b"me too\n"), b"me too\n");
    }
    assert_eq!(server.children().len(), 5);
    assert!(server.children().iter().all(|child| child.state != 'Z'));
}

#[test]
fn nothing_stays_of_a_client_that_ended() {
    let server = Server::start(&[]);
    let descriptors = server.descriptors();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        echo(client, b"x");
    }
    drop(clients);
    until("no child and no zombie", || server.children().is_empty());
    assert_eq!(server.descriptors(), descriptors);
}

#[test]
fn what_the_server_prints_cannot_steer_a_terminal() {
    let server = Server::start(&[]);
    echo(&mut server.connect(), b"\x1b[31m\x07\xc2\x9b\xff caf\xc3\xa9\n");
    let line = server.line();
    assert!(line.ends_with("received \"\\u{1b}[31m\\u{7}\\u{9b}\u{fffd} caf\u{e9}\\n\""), "{line}");
}

#[test]
fn a_client_whose_server_is_gone_says_so() {
    let server = Server::start(&[]);
    let mut client = Client::start(&server.port());
    assert_eq!(client.echo("one\n"), "one\n");
    server.signal_children(Signal::SIGKILL);
    // A line that came before the end, unread, would make it a RST.
    until("the child has gone", || server.children().is_empty());
    client.type_in("two\n");
    let output = client.wait();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "the server closed the connection\n");
    assert!(server.is_alive());
}

#[test]
fn control_c_ends_the_client_by_its_signal() {
    let server = Server::start(&[]);
    let mut client = Client::start(&server.port());
    assert_eq!(client.echo("one\n"), "one\n");
    client.signal(Signal::SIGINT);
    assert_eq!(client.wait().status.signal(), Some(Signal::SIGINT as i32));
    until("the child has gone with its client", || server.children().is_empty());
}

#[test]
fn a_reset_connection_ends_its_child_with_an_error() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    echo(&mut client, b"x");
    setsockopt(&client, Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    drop(client);
    assert_eq!(server.error(), "echo read: Connection reset by peer");
    assert!(server.is_alive());
}

#[test]
fn a_second_server_cannot_have_the_same_port() {
    let server = Server::start(&[]);
    let output = run(SERVER, &[&server.port()], b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!("can't bind to {} port: Address already in use\n", server.port())
    );
    assert_eq!(output.stdout, b"");
}

#[test]
fn wrong_arguments_are_answered_with_the_usage() {
    for arguments in [&["1", "2"][..], &["70000"], &["-1"], &["x"], &[""]] {
        let output = run(SERVER, arguments, b"");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.lines().last().unwrap().starts_with("usage: tcpechod [port]"), "{error}");
    }
    for arguments in [&["h", "1", "2"][..], &["h", "x"], &["h", "70000"]] {
        let output = run(CLIENT, arguments, b"");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "usage: tcpecho [host [port]]\n");
    }
}

#[test]
fn a_client_that_cannot_connect_says_why() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let output = run(CLIENT, &["127.0.0.1", &free.to_string()], b"");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, format!("can't connect to 127.0.0.1 port {free}: Connection refused\n"));
}

/// A signal's place in the masks of `/proc/PID/status`.
fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}

#[test]
fn signals_are_disposed_as_in_a_c_program() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    echo(&mut client, b"x");
    let child = server.children()[0].pid;
    for pid in [server.pid(), child] {
        let status = procfs::process::Process::new(pid).unwrap().status().unwrap();
        assert_eq!(status.sigign & bit(Signal::SIGPIPE), 0, "SIGPIPE is not ignored");
        assert_eq!(status.sigcgt, bit(Signal::SIGCHLD), "SIGCHLD alone is caught");
        assert_eq!(status.sigblk, 0, "none is blocked");
    }
}

#[test]
fn socat_and_ncat_are_served() {
    let server = Server::start(&[]);
    let address = format!("TCP4:127.0.0.1:{}", server.port());
    assert_eq!(run("socat", &["-t5", "-", &address], b"from socat\n").stdout, b"from socat\n");
    assert_eq!(run("ncat", &["127.0.0.1", &server.port()], b"from ncat\n").stdout, b"from ncat\n");
}

#[test]
fn the_client_uses_socat_and_ncat() {
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let (socat, ncat) = (free().to_string(), free().to_string());
    let address = format!("TCP4-LISTEN:{socat},bind=127.0.0.1,fork");
    let servers = [
        ("socat", &socat, vec![address.as_str(), "PIPE"]),
        ("ncat", &ncat, vec!["-k", "-l", "127.0.0.1", &ncat, "-e", "/bin/cat"]),
    ];
    for (name, port, arguments) in servers {
        let mut server = Command::new(name).args(arguments).stdin(Stdio::null()).spawn().unwrap();
        until("the server listens", || TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
        let output = run(CLIENT, &["127.0.0.1", port], b"to another\nserver\n");
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "to another\nserver\n", "{name}");
    }
}
