//! `echo_load ADDRESS CLIENTS COUNT`: runs CLIENTS clients at once, each of which opens COUNT connections to
//! an echo server, one after another; on each it sends a line, reads it back and closes. Fails if an echo is
//! wrong.

use std::{
    io::{Error, Read, Result, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

const LINE: &[u8] = b"a line as a student would type it\n";

fn main() -> Result<()> {
    let usage = || Error::other("usage: echo_load ADDRESS CLIENTS COUNT");
    let [address, clients, count] = arguments().ok_or_else(usage)?;
    let address: SocketAddr = address.parse().map_err(Error::other)?;
    let clients: u32 = clients.parse().map_err(Error::other)?;
    let count: u32 = count.parse().map_err(Error::other)?;
    let client = move || (0..count).try_for_each(|_| talk(address));
    let clients: Vec<_> = (0..clients).map(|_| thread::spawn(client)).collect();
    clients.into_iter().try_for_each(|c| c.join().unwrap_or_else(|_| Err(Error::other("a client panicked"))))
}

fn arguments() -> Option<[String; 3]> {
    std::env::args().skip(1).collect::<Vec<_>>().try_into().ok()
}

fn talk(address: SocketAddr) -> Result<()> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.write_all(LINE)?;
    let mut echo = [0; LINE.len()];
    connection.read_exact(&mut echo)?;
    if echo == LINE { Ok(()) } else { Err(Error::other("the echo differs from the line")) }
}
