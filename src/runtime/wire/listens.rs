//! Whether servers listen: hosts that are there to serve, and have a command of their own for it.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::Pid,
};

use crate::{
    capture::TcpState,
    kernel::{read_sockets, sys::pidfd_open},
    runtime::{Lack, Warning},
    topology::{HostPlan, Role},
};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long PID 1 may take to start its command. If it has no child for so long, that has ended.
const START: Duration = Duration::from_millis(500);
/// How often it is looked whether one listens, in milliseconds. The kernel tells of that nobody who does not ask.
const LOOK: u16 = 1;
/// More of a table than anybody has who has just started, in bytes.
const MOST: u64 = 1 << 20;

/// A server that does not listen yet.
struct Awaited<'p> {
    host: &'p HostPlan,
    init: i32,
    /// Its PID 1, to know of its end.
    pidfd: OwnedFd,
    /// When its PID 1 had a child, or was first looked at.
    worked: Instant,
}

/// Waits until the servers among hosts, given with their PID 1s, listen on some port. Gives what is to be told of those
/// that do not.
pub fn wait(hosts: &[(&HostPlan, i32)]) -> Vec<Warning> {
    let begin = Instant::now();
    let servers = hosts.iter().filter(|(host, _)| host.role == Role::Server && host.run.is_some());
    // One that has gone altogether is told of by others.
    let mut awaited: Vec<_> = servers
        .filter_map(|(host, init)| {
            let pidfd = pidfd_open(Pid::from_raw(*init)).ok()?;
            Some(Awaited { host, init: *init, pidfd, worked: begin })
        })
        .collect();
    let mut silent = Vec::new();
    loop {
        awaited.retain(|server| !listens(server.init));
        let now = Instant::now();
        for server in &mut awaited {
            if has_child(server.init) {
                server.worked = now;
            }
        }
        let is_over = |server: &mut Awaited<'_>| now - begin > PATIENCE || now - server.worked > START;
        silent.extend(awaited.extract_if(.., is_over).map(|server| server.warning(now - begin)));
        if awaited.is_empty() {
            return silent;
        }
        let ends = awaited.iter().map(|server| PollFd::new(server.pidfd.as_fd(), PollFlags::POLLIN));
        if poll(&mut ends.collect::<Vec<_>>(), PollTimeout::from(LOOK)).is_ok_and(|ended| ended > 0) {
            return silent;
        }
    }
}

impl Awaited<'_> {
    fn warning(&self, after: Duration) -> Warning {
        let (host, run) = (&self.host.name, self.host.run.as_deref().unwrap_or_default());
        let how =
            if after > PATIENCE { "listens on no port yet" } else { "has ended, and listens on no port" };
        Warning {
            lacks: Lack::Server,
            text: format!("the server on {host}, `{run}`, {how}: `netlab logs {host}` shows what it says"),
        }
    }
}

/// Whether anybody on that host can be reached at a port, as its kernel has it. At an address of the host's own loopback
/// interface nobody can, and an engine serves names there.
fn listens(init: i32) -> bool {
    // A datagram socket that is bound counts as closed.
    let tables = [("tcp", TcpState::Listen), ("udp", TcpState::Close)];
    let kinds = tables.into_iter().flat_map(|kind| [(kind, "", false), (kind, "6", true)]);
    let mut rows = kinds.flat_map(|((table, state), version, v6)| {
        let rows = read_sockets(read(&format!("/proc/{init}/net/{table}{version}")).as_bytes(), v6);
        rows.into_iter().filter(move |row| row.state == state)
    });
    rows.any(|row| !row.local.ip().is_loopback())
}

/// Whether its PID 1 has a child; also where the kernel does not tell.
fn has_child(init: i32) -> bool {
    let path = format!("/proc/{init}/task/{init}/children");
    File::open(&path).is_err() || !read(&path).trim().is_empty()
}

fn read(path: &str) -> String {
    let mut text = String::new();
    // What cannot be read says nothing, and the wait is bounded.
    let _ = File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text));
    text
}
