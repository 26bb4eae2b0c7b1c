//! Waits until servers listen: hosts whose role is to serve and that have a command of their own for it.

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

/// Time limit until a server listens.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long PID 1 may take to start its command. If it still has no child then, the command has ended.
const START: Duration = Duration::from_millis(500);
/// Polling interval in milliseconds: the kernel does not notify anybody of a new listener.
const LOOK: u16 = 1;
/// Maximum size in bytes of a socket table; one on a host that has just started is smaller.
const MOST: u64 = 1 << 20;

/// A server that is not listening yet.
struct PendingServer<'p> {
    host: &'p HostPlan,
    init: i32,
    /// Its PID 1, to notice its end.
    pidfd: OwnedFd,
    /// When its PID 1 last had a child, or was first checked.
    worked: Instant,
}

/// Waits until the servers among the hosts, given with their PID 1s, listen on some port. Returns warnings
/// about those that do not.
pub fn wait(hosts: &[(&HostPlan, i32)]) -> Vec<Warning> {
    let begin = Instant::now();
    let servers = hosts.iter().filter(|(host, _)| host.role == Role::Server && host.run.is_some());
    // A host that has stopped is reported elsewhere.
    let mut pending: Vec<_> = servers
        .filter_map(|(host, init)| {
            let pidfd = pidfd_open(Pid::from_raw(*init)).ok()?;
            Some(PendingServer { host, init: *init, pidfd, worked: begin })
        })
        .collect();
    let mut silent = Vec::new();
    loop {
        pending.retain(|server| !listens(server.init));
        let now = Instant::now();
        for server in &mut pending {
            if has_child(server.init) {
                server.worked = now;
            }
        }
        let is_over = |server: &mut PendingServer<'_>| now - begin > PATIENCE || now - server.worked > START;
        silent.extend(pending.extract_if(.., is_over).map(|server| server.warning(now - begin)));
        if pending.is_empty() {
            return silent;
        }
        let ends = pending.iter().map(|server| PollFd::new(server.pidfd.as_fd(), PollFlags::POLLIN));
        if poll(&mut ends.collect::<Vec<_>>(), PollTimeout::from(LOOK)).is_ok_and(|ended| ended > 0) {
            return silent;
        }
    }
}

impl PendingServer<'_> {
    fn warning(&self, after: Duration) -> Warning {
        let (host, run) = (&self.host.name, self.host.run.as_deref().unwrap_or_default());
        let how =
            if after > PATIENCE { "listens on no port yet" } else { "has ended, and listens on no port" };
        Warning {
            lacks: Lack::Server,
            text: format!("the server on {host}, `{run}`, {how}: `netlab logs {host}` shows its output"),
        }
    }
}

/// Returns whether a port on the host can be reached, according to its kernel. Ports on the loopback
/// interface do not count: they cannot be reached, and an engine serves DNS there.
fn listens(init: i32) -> bool {
    // The kernel lists a bound datagram socket as closed.
    let tables = [("tcp", TcpState::Listen), ("udp", TcpState::Close)];
    let kinds = tables.into_iter().flat_map(|kind| [(kind, "", false), (kind, "6", true)]);
    let mut rows = kinds.flat_map(|((table, state), version, v6)| {
        let rows = read_sockets(read(&format!("/proc/{init}/net/{table}{version}")).as_bytes(), v6);
        rows.into_iter().filter(move |row| row.state == state)
    });
    rows.any(|row| !row.local.ip().is_loopback())
}

/// Returns whether its PID 1 has a child; true if the kernel does not say.
fn has_child(init: i32) -> bool {
    let path = format!("/proc/{init}/task/{init}/children");
    File::open(&path).is_err() || !read(&path).trim().is_empty()
}

fn read(path: &str) -> String {
    let mut text = String::new();
    // An unreadable table counts as empty; the wait has a limit anyway.
    let _ = File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text));
    text
}
