//! The behaviour that each option of `tcpechod` is meant to show.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use nix::sys::{
    signal::Signal,
    socket::{setsockopt, sockopt::Linger},
};
use procfs::net::TcpState;

use super::{
    SERVER,
    harness::{Server, echo, until},
    run,
};

/// Clients that all close at once while the server is stopped, so that it gets only one signal for all of them.
fn close_at_once(server: &Server, count: usize) {
    let clients: Vec<_> = (0..count).map(|_| server.connect()).collect();
    until("each client has a child", || server.children().len() == count);
    server.stop();
    drop(clients);
    until("all have ended", || server.zombies() == count);
    server.signal(Signal::SIGCONT);
}

#[test]
fn the_looping_reaper_leaves_no_zombie() {
    let server = Server::start(&["--reaper", "loop"]);
    close_at_once(&server, 30);
    until("all are reaped", || server.children().is_empty());
}

#[test]
fn one_wait_a_signal_leaves_all_but_one() {
    let server = Server::start(&["--reaper", "once"]);
    close_at_once(&server, 30);
    until("one is reaped", || server.children().len() < 30);
    // Whoever is served now is served after the handler.
    let mut next = server.connect();
    echo(&mut next, b"x");
    assert_eq!(server.zombies(), 29);
}

#[test]
fn no_reaper_leaves_every_zombie_and_they_cannot_be_killed() {
    let server = Server::start(&["--reaper", "none"]);
    close_at_once(&server, 3);
    server.signal_children(Signal::SIGKILL);
    let mut next = server.connect();
    echo(&mut next, b"x");
    assert_eq!(server.zombies(), 3);
}

#[test]
fn the_reaper_of_the_handout_spins_while_another_child_is_alive() {
    let server = Server::start(&["--reaper", "handout"]);
    let first = server.connect();
    let mut second = server.connect();
    echo(&mut second, b"x");
    let ticks = || server.stat().utime + server.stat().stime;
    let before = ticks();

    drop(first);
    until("the first client's child is reaped", || server.children().len() == 1);
    let mut third = server.dial();
    third.write_all(b"late").unwrap();
    until("a fifth of a second of processor time is burnt", || ticks() > before + 20);
    assert_eq!(server.queued(), 1, "the third client waits");
    echo(&mut second, b"the second is served by its child");

    drop(second);
    let mut back = [0; 4];
    third.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"late");
}

#[test]
fn the_sequential_server_lets_the_second_client_wait() {
    let server = Server::start(&["--mode", "sequential"]);
    let mut first = server.connect();
    let mut second = server.dial();
    second.write_all(b"me").unwrap();
    echo(&mut first, b"the first is served");
    until("the second is connected", || server.queued() == 1);
    assert!(server.children().is_empty());

    drop(first);
    let mut back = [0; 2];
    second.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"me");
}

#[test]
fn a_pool_serves_as_many_clients_as_it_has_servers() {
    let server = Server::start(&["--mode", "pool=3"]);
    until("three servers", || server.children().len() == 3);
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in clients.iter_mut().rev() {
        echo(client, b"x");
    }
    let mut fourth = server.dial();
    fourth.write_all(b"me").unwrap();
    until("the fourth waits", || server.queued() == 1);

    clients.pop();
    let mut back = [0; 2];
    fourth.read_exact(&mut back).unwrap();
    assert_eq!(server.children().len(), 3, "nobody was forked for it");
}

#[test]
fn threads_need_no_process() {
    let server = Server::start(&["--mode", "threads"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    echo(&mut second, b"x");
    echo(&mut first, b"x");
    assert!(server.children().is_empty());
    assert_eq!(server.stat().num_threads, 3);
    drop((first, second));
    until("the threads are done", || server.stat().num_threads == 1);
}

#[test]
fn a_socket_kept_open_stays_in_close_wait() {
    for mode in ["fork", "sequential"] {
        let server = Server::start(&["--mode", mode, "--keep-open"]);
        let before = server.descriptors();
        for _ in 0..3 {
            echo(&mut server.connect(), b"x");
        }
        let kept = || server.sockets().iter().filter(|row| row.state == TcpState::CloseWait).count();
        until("three connections half closed", || kept() == 3 && server.children().is_empty());
        assert_eq!(server.descriptors(), before + 3, "{mode}");
    }
}

/// How many connections the host of a stopped server accepts.
fn taken(server: &Server) -> usize {
    server.stop();
    let address = (Ipv4Addr::LOCALHOST, server.port().parse().unwrap()).into();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    std::iter::from_fn(connect).collect::<Vec<_>>().len()
}

#[test]
fn the_backlog_is_the_queues_length_and_one_more() {
    assert_eq!(taken(&Server::start(&[])), 6);
    assert_eq!(taken(&Server::start(&["--backlog", "1"])), 2);
}

#[test]
fn reuseaddr_mends_a_restart_while_a_connection_is_remembered() {
    for options in [&[][..], &["--reuseaddr"]] {
        let server = Server::start(options);
        let port = server.port();
        let mut client = server.connect();
        echo(&mut client, b"x");
        drop(server);
        if options.is_empty() {
            let error = String::from_utf8(run(SERVER, &[&port], b"").stderr).unwrap();
            assert_eq!(error, format!("can't bind to {port} port: Address already in use\n"));
        } else {
            Server::start_on(&port, options).connect();
        }
    }
}

/// Runs a client that is gone before the server accepts it, with more than one buffer of the server's still to be
/// read: it ends with a FIN, or with a RST if `reset`. Returns the child's status as from wait(2).
fn end_of_child(server: &Server, reset: bool) -> i32 {
    server.stop();
    let mut client = server.dial();
    client.write_all(&vec![b'x'; 60_000]).unwrap();
    if reset {
        setsockopt(&client, Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    }
    drop(client);
    server.signal(Signal::SIGCONT);
    until("the child has ended", || server.zombies() == 1);
    server.children()[0].exit_code.unwrap()
}

/// An exit with code 1, as from wait(2).
const EXIT_1: i32 = 1 << 8;

#[test]
fn a_write_after_the_reset_ends_the_child_by_sigpipe() {
    let server = Server::start(&["--reaper", "none"]);
    assert_eq!(end_of_child(&server, false), Signal::SIGPIPE as i32);
}

#[test]
fn a_handler_of_sigpipe_turns_it_into_an_error() {
    let server = Server::start(&["--reaper", "none", "--sigpipe", "handler"]);
    assert_eq!(end_of_child(&server, false), EXIT_1);
    assert_eq!(server.error(), "echo write: Broken pipe");
    let child = server.children()[0].pid;
    while server.line() != format!("process {child} caught SIGPIPE") {}
}

#[test]
fn a_reset_of_an_established_connection_raises_no_signal() {
    let server = Server::start(&["--reaper", "none"]);
    assert_eq!(end_of_child(&server, true), EXIT_1);
    assert_eq!(server.error(), "echo write: Connection reset by peer");
}

#[test]
fn sigpipe_by_hand_ends_the_parent_and_its_children_go_on() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    echo(&mut client, b"x");
    server.signal(Signal::SIGPIPE);
    until("the parent has ended", || !server.is_alive());
    assert_eq!(server.stat().exit_code, Some(Signal::SIGPIPE as i32));
    assert_eq!(echo(&mut client, b"orphan"), b"orphan");
}

#[test]
fn sigpipe_by_hand_is_told_by_a_handler_and_all_goes_on() {
    let server = Server::start(&["--sigpipe", "handler"]);
    let mut client = server.connect();
    echo(&mut client, b"x");
    let child = server.children()[0].pid;
    server.signal(Signal::SIGPIPE);
    while server.line() != format!("process {} caught SIGPIPE", server.pid()) {}
    server.signal_children(Signal::SIGPIPE);
    while server.line() != format!("process {child} caught SIGPIPE") {}
    echo(&mut client, b"still here");
    echo(&mut server.connect(), b"and so is the parent");
}

#[test]
fn the_help_explains_every_option() {
    let output = run(SERVER, &["--help"], b"");
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for word in
        ["--mode", "pool=N", "--reaper", "handout", "--sigpipe", "--backlog", "--reuseaddr", "--keep-open"]
    {
        assert!(help.contains(word), "{word}");
    }
    for wrong in [["--mode", "pool=0"], ["--mode", "x"], ["--reaper", "x"], ["--backlog", "-7"]] {
        assert_eq!(run(SERVER, &wrong, b"").status.code(), Some(1), "{wrong:?}");
    }
}
