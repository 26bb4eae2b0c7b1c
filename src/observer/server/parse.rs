//! The formats of `/proc/PID/stat`, `status`, `cmdline`, `fd` and `/proc/PID/net/tcp` (proc(5)).

use std::{
    cmp::Reverse,
    ffi::OsStr,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use crate::{
    observer::{ProcessRow, SocketRow, TcpState},
    runtime::ExitStatus,
};

/// `/proc/PID/stat`. The name stands in brackets and may hold anything, brackets included.
pub fn stat(bytes: &[u8]) -> Option<ProcessRow> {
    let text = String::from_utf8_lossy(bytes);
    let (head, tail) = text.rsplit_once(')')?;
    let (pid, name) = head.split_once('(')?;
    // The fields from the third on.
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    let ticks = |i: usize| fields.get(i)?.parse::<u64>().ok();
    let number = |i: usize| fields.get(i)?.parse::<i32>().ok();
    let state = fields.first()?.chars().next()?;
    Some(ProcessRow {
        pid: pid.trim().parse().ok()?,
        name: name.to_owned(),
        state,
        ppid: number(1)?,
        pgid: number(2)?,
        sid: number(3)?,
        ticks: ticks(11)?.saturating_add(ticks(12)?),
        descriptors: 0,
        started: ticks(19)?,
        argv: Vec::new(),
        program: String::new(),
        netlabs: false,
        copy_of: String::new(),
        uid: 0,
        caught: 0,
        ignored: 0,
        blocked: 0,
        // The last field, and 0 for whoever may not ask.
        ended: (state == 'Z').then(|| number(49)).flatten().and_then(ExitStatus::from_wait),
    })
}

/// Adds what only `/proc/PID/status` tells.
pub fn status(bytes: &[u8], row: &mut ProcessRow) {
    for line in String::from_utf8_lossy(bytes).lines() {
        let Some((key, value)) = line.split_once(":\t") else { continue };
        let mask = || u64::from_str_radix(value.trim(), 16).unwrap_or(0);
        match key {
            // Real, effective, saved, file system.
            "Uid" => row.uid = value.split_whitespace().next().and_then(|v| v.parse().ok()).unwrap_or(0),
            "SigBlk" => row.blocked = mask(),
            "SigIgn" => row.ignored = mask(),
            "SigCgt" => row.caught = mask(),
            _ => {}
        }
    }
}

/// `/proc/PID/cmdline`: each argument ends with a NUL. A program that writes over its arguments may
/// leave a run of NULs behind.
pub fn cmdline(bytes: &[u8]) -> Vec<String> {
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    bytes[..end].split(|b| *b == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
}

/// The inode in a descriptor's link, if it is a socket: `socket:[INODE]`.
pub fn socket_inode(link: &OsStr) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// `/proc/PID/net/tcp` or, with `v6`, `tcp6`: a heading, then a line a socket.
pub fn sockets(bytes: &[u8], v6: bool) -> Vec<SocketRow> {
    String::from_utf8_lossy(bytes).lines().skip(1).filter_map(|line| socket(line, v6)).collect()
}

fn socket(line: &str, v6: bool) -> Option<SocketRow> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (send_q, recv_q) = fields.get(4)?.split_once(':')?;
    Some(SocketRow {
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        v6,
        state: state(u8::from_str_radix(fields.get(3)?, 16).ok()?)?,
        recv_q: u32::from_str_radix(recv_q, 16).ok()?,
        send_q: u32::from_str_radix(send_q, 16).ok()?,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
        owners: Vec::new(),
    })
}

/// `0100007F:1F48`: the address's 32-bit words as they lie in memory, and the port.
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

/// The kernel's numbers (`include/net/tcp_states.h`); 12 is a request that has not become a socket.
pub fn state(number: u8) -> Option<TcpState> {
    Some(match number {
        1 => TcpState::Established,
        2 => TcpState::SynSent,
        3 | 12 => TcpState::SynRecv,
        4 => TcpState::FinWait1,
        5 => TcpState::FinWait2,
        6 => TcpState::TimeWait,
        7 => TcpState::Close,
        8 => TcpState::CloseWait,
        9 => TcpState::LastAck,
        10 => TcpState::Listen,
        11 => TcpState::Closing,
        _ => return None,
    })
}

/// The order of rows: listening sockets first, then by port; the kernel's own order, by hash, would
/// differ from run to run.
pub fn order(row: &SocketRow) -> (Reverse<bool>, u16, SocketAddr, SocketAddr, bool, u64) {
    let listens = row.state == TcpState::Listen;
    (Reverse(listens), row.local.port(), row.remote, row.local, row.v6, row.inode)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Names and arguments are the host's text: whatever they are, nothing panics.
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, numbers: [u64; 4]) {
            let [a, b, c, d] = numbers;
            let line = format!("{a} ({}) S {b} {c} {d} 0 0 0 0 0 0 0 {a} {b} 0 0 0 0 0 0 {c}", bytes.escape_ascii());
            for bytes in [bytes.as_slice(), line.as_bytes()] {
                let row = stat(bytes);
                if let Some(mut row) = row {
                    status(bytes, &mut row);
                }
                cmdline(bytes);
                sockets(bytes, false);
                sockets(bytes, true);
            }
        }
    }

    #[test]
    fn a_name_may_hold_brackets_and_spaces() {
        let line = b"17 (a) S (b) Z 3 17 2 0 -1 4194560 1 0 0 0 7 5 0 0 20 0 1 0 4242 0 0\n";
        let row = stat(line).unwrap();
        assert_eq!((row.pid, row.name.as_str(), row.state, row.ppid), (17, "a) S (b", 'Z', 3));
        assert_eq!((row.pgid, row.sid, row.ticks, row.started), (17, 2, 12, 4242));
        assert!(stat(b"17 (a) S 1").is_none());
        let most = format!("17 (a) S 3 17 2 0 0 0 0 0 0 0 {0} {0} 0 0 0 0 0 0 {0}", u64::MAX);
        assert_eq!(stat(most.as_bytes()).unwrap().ticks, u64::MAX, "no sum is beyond that");
    }

    #[test]
    fn status_tells_user_and_signals() {
        let mut row = stat(b"1 (x) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0").unwrap();
        let text = "Name:\tx\nUid:\t1000\t0\t0\t0\nNSpid:\t812\t5\nSigBlk:\t0000000000010000\n\
                    SigIgn:\t8000000000001000\nSigCgt:\t0000000000000002\n";
        status(text.as_bytes(), &mut row);
        assert_eq!((row.uid, row.blocked, row.caught), (1000, 1 << 16, 1 << 1));
        assert_eq!(row.ignored, 1 << 63 | 1 << 12);
    }

    #[test]
    fn arguments_may_be_empty_or_overwritten() {
        assert_eq!(cmdline(b"tcpechod\08001\0"), ["tcpechod", "8001"]);
        assert_eq!(cmdline(b"nginx: master\0\0\0\0"), ["nginx: master"]);
        assert_eq!(cmdline(b"sh\0\0x\0"), ["sh", "", "x"]);
        assert!(cmdline(b"").is_empty());
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_of_both_families() {
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
                  0: 010012C6:1F48 00000000:0000 0A 00000000:00000006 00:00000000 00000000  1000        0 4711 1\n   \
                  1: 010012C6:1F48 020012C6:D431 06 00000000:00000000 03:0000176F 00000000     0        0 0 3\n";
        let rows = sockets(v4.as_bytes(), false);
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
        let rows = sockets(v6.as_bytes(), true);
        assert_eq!(rows[0].local.to_string(), "198.18.0.1:8008");
        assert!(rows[0].v6 && rows[0].send_q == 5);
        assert_eq!(rows[1].local.to_string(), "[::1]:80");
    }

    #[test]
    fn unreadable_lines_are_left_out() {
        assert!(sockets(b"heading\n  0: zz\n\xff\xfe\n 1: 0:0 0:0 FF 0:0 0 0 0 0 0", false).is_empty());
        assert_eq!(socket_inode(OsStr::new("socket:[12]")), Some(12));
        assert_eq!(socket_inode(OsStr::new("pipe:[12]")), None);
    }
}
