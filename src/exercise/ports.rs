//! The ports that an exercise's servers use.

use indexmap::IndexMap;

use super::bind::Cast;
use crate::{Error, Result, observer::Session};

/// Ports by the exercise's names for them.
pub type Ports = IndexMap<String, u16>;

/// The first free ports from the exercise's on; `asked` is for `port`, and must be free.
pub fn choose(session: &Session, cast: &Cast, wanted: &Ports, asked: Option<u16>) -> Result<Ports> {
    let server = &cast["server"];
    // Also what an earlier run left in TIME_WAIT on a client would be taken for this run's.
    let sockets = cast.values().flat_map(|host| session.tables.sockets(host));
    let mut taken: Vec<u16> = sockets.flat_map(|s| [s.local.port(), s.remote.port()]).collect();
    let is_served = |port| session.tables.sockets(server).iter().any(|s| s.local.port() == port);
    let mut ports = Ports::new();
    for (name, from) in wanted {
        let port = match asked {
            Some(port) if name == "port" && is_served(port) => return Err(in_use(session, server, port)),
            Some(port) if name == "port" => port,
            _ => (*from..=u16::MAX)
                .find(|port| !taken.contains(port))
                .ok_or_else(|| Error::lab(format!("no port from {from} on is free on {server}")))?,
        };
        taken.push(port);
        ports.insert(name.clone(), port);
    }
    Ok(ports)
}

fn in_use(session: &Session, server: &str, port: u16) -> Error {
    let socket = session.tables.sockets(server).iter().find(|s| s.local.port() == port);
    let owner = socket
        .and_then(|s| session.tables.process(server, *s.owners.first()?))
        .map_or("a connection that has not ended yet".to_owned(), |p| format!("{} (pid {})", p.name, p.pid));
    Error::usage(format!("port {port} of {server} is in use by {owner}"))
        .hint("end what uses it, or leave --port out: netlab then takes a free one")
}
