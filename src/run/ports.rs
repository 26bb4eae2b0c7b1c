//! The ports that an exercise's servers use.

use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixListener},
};

use indexmap::IndexMap;
use nix::unistd::geteuid;

use crate::{Error, Result, digest::sha256, exercise::Roles, observer::Session};

/// Ports by the exercise's names for them.
pub type Ports = IndexMap<String, u16>;

/// Keeps other runs of this user from taking the same ports, until it is dropped.
pub struct Held(#[allow(dead_code, reason = "it is there or not")] Vec<UnixListener>);

/// Chooses the first free ports, counting up from the exercise's. `asked` is for `port`, and must be free.
pub fn choose(
    session: &Session,
    lab: &str,
    roles: &Roles,
    wanted: &Ports,
    asked: Option<u16>,
) -> Result<(Ports, Held)> {
    let server = &roles["server"];
    // A connection that an earlier run left in TIME_WAIT on a client would be taken for one of this run.
    let sockets = roles.values().flat_map(|host| session.tables.sockets(host));
    let taken: Vec<u16> = sockets.flat_map(|s| [s.local.port(), s.remote.port()]).collect();
    let is_served = |port| session.tables.sockets(server).iter().any(|s| s.local.port() == port);
    let mut ports = Ports::new();
    let mut held = Vec::new();
    for (name, from) in wanted {
        let (port, mine) = match asked {
            Some(port) if name == "port" && is_served(port) => return Err(in_use(session, server, port)),
            Some(port) if name == "port" => match hold(lab, server, port) {
                Some(mine) => (port, mine),
                None => return Err(Error::usage(format!("port {port} of {server} is another run's"))),
            },
            _ => (*from..=u16::MAX)
                .filter(|port| !taken.contains(port))
                .find_map(|port| Some((port, hold(lab, server, port)?)))
                .ok_or_else(|| Error::lab(format!("no port from {from} on is free on {server}")))?,
        };
        held.push(mine);
        ports.insert(name.clone(), port);
    }
    Ok((ports, Held(held)))
}

/// Reserves a port, because a chosen port does not show in any table yet. The reservation is an abstract socket name,
/// which disappears with this program however it ends.
fn hold(lab: &str, host: &str, port: u16) -> Option<UnixListener> {
    // An abstract socket name has at most 107 bytes.
    let name = format!("netlab-{}", sha256(format!("{} {lab} {host} {port}", geteuid())));
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()
}

fn in_use(session: &Session, server: &str, port: u16) -> Error {
    let socket = session.tables.sockets(server).iter().find(|s| s.local.port() == port);
    let owner = socket
        .and_then(|s| session.tables.process(server, *s.owners.first()?))
        .map_or("a connection that has not ended yet".to_owned(), |p| format!("{} (pid {})", p.name, p.pid));
    Error::usage(format!("port {port} of {server} is in use by {owner}"))
        .hint("end what uses it, or leave --port out: netlab then takes a free one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_runs_alone_until_it_ends() {
        let lab = format!("ports-{}", std::process::id());
        let first = hold(&lab, "server", 8002).unwrap();
        assert!(hold(&lab, "server", 8002).is_none());
        assert!(hold(&lab, "server", 8003).is_some() && hold(&lab, &"x".repeat(63), 8002).is_some());
        drop(first);
        assert!(hold(&lab, "server", 8002).is_some());
    }
}
