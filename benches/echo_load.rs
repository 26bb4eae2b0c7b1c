//! `echo_load ADDRESS COUNT`: opens that many connections to an echo server, one after another; on
//! each sends a line, reads it back and closes. Ends with an error where an echo is not right.

use std::{
    io::{Error, Read, Result, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const LINE: &[u8] = b"a line as a student would type it\n";

fn main() -> Result<()> {
    let [address, count] = arguments().ok_or_else(|| Error::other("usage: echo_load ADDRESS COUNT"))?;
    let address: SocketAddr = address.parse().map_err(Error::other)?;
    let count: u32 = count.parse().map_err(Error::other)?;
    (0..count).try_for_each(|_| talk(address))
}

fn arguments() -> Option<[String; 2]> {
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
