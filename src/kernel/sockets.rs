//! Rows of a host's socket table, and the format of `/proc/PID/net/tcp` (proc(5)).

use std::{
    cmp::Reverse,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use crate::capture::TcpState;

/// One TCP socket of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRow {
    /// Its local end. An IPv4 connection of a dual-stack socket is shown as IPv4.
    pub local: SocketAddr,
    /// The other end; port 0 for a listening socket.
    pub remote: SocketAddr,
    /// Whether it is an IPv6 socket (netstat's `tcp6`).
    pub v6: bool,
    /// State.
    pub state: TcpState,
    /// Bytes not yet read; for a listening socket, connections not yet accepted.
    pub recv_q: u32,
    /// Bytes not yet acknowledged.
    pub send_q: u32,
    /// Inode; 0 if no descriptor refers to it (any more, or yet).
    pub inode: u64,
    /// User id.
    pub uid: u32,
    /// The processes that hold a descriptor of it, lowest pid first.
    pub owners: Vec<i32>,
}

impl SocketRow {
    /// Returns its size in memory, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + size_of_val(self.owners.as_slice())
    }
}

/// Parses `/proc/PID/net/tcp` or, with `v6`, `tcp6`: a heading, then one line per socket.
pub fn read(bytes: &[u8], v6: bool) -> Vec<SocketRow> {
    String::from_utf8_lossy(bytes).lines().skip(1).filter_map(|line| socket(line, v6)).collect()
}

fn socket(line: &str, v6: bool) -> Option<SocketRow> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (send_q, recv_q) = fields.get(4)?.split_once(':')?;
    Some(SocketRow {
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        v6,
        state: TcpState::from_number(u8::from_str_radix(fields.get(3)?, 16).ok()?)?,
        recv_q: u32::from_str_radix(recv_q, 16).ok()?,
        send_q: u32::from_str_radix(send_q, 16).ok()?,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
        owners: Vec::new(),
    })
}

/// Parses e.g. `0100007F:1F48`: the address's 32-bit words in memory order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Vec<u8> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = match <[u8; 4]>::try_from(words.as_slice()) {
        Ok(v4) => IpAddr::from(v4),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The sort key of rows: listening sockets first, then by port; the kernel's own order, by hash, would differ
/// from run to run.
pub fn order(row: &SocketRow) -> (Reverse<bool>, u16, SocketAddr, SocketAddr, bool, u64) {
    let listens = row.state == TcpState::Listen;
    (Reverse(listens), row.local.port(), row.remote, row.local, row.v6, row.inode)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>) {
            read(&bytes, false);
            read(&bytes, true);
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_of_both_families() {
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
                  0: 010012C6:1F48 00000000:0000 0A 00000000:00000006 00:00000000 00000000  1000        0 4711 1\n   \
                  1: 010012C6:1F48 020012C6:D431 06 00000000:00000000 03:0000176F 00000000     0        0 0 3\n";
        let rows = read(v4.as_bytes(), false);
        assert_eq!(rows[0].local.to_string(), "198.18.0.1:8008");
        assert_eq!(
            (rows[0].state, rows[0].recv_q, rows[0].inode, rows[0].uid),
            (TcpState::Listen, 6, 4711, 1000)
        );
        assert_eq!(rows[1].remote.to_string(), "198.18.0.2:54321");
        assert_eq!((rows[1].state, rows[1].inode), (TcpState::TimeWait, 0));

        let v6 = "heading\n   0: 0000000000000000FFFF0000010012C6:1F48 \
                  0000000000000000FFFF0000020012C6:D431 01 00000005:00000000 00:0 0 0 0 12 1\n   \
                  1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A \
                  00000000:00000000 00:0 0 0 0 13 1\n";
        let rows = read(v6.as_bytes(), true);
        assert_eq!(rows[0].local.to_string(), "198.18.0.1:8008");
        assert!(rows[0].v6 && rows[0].send_q == 5);
        assert_eq!(rows[1].local.to_string(), "[::1]:80");
    }

    #[test]
    fn unreadable_lines_are_left_out() {
        assert!(read(b"heading\n  0: zz\n\xff\xfe\n 1: 0:0 0:0 FF 0:0 0 0 0 0 0", false).is_empty());
    }
}
