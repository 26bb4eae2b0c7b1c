//! Reads a host's sockets from the kernel over netlink (`sock_diag`(7)).
//!
//! `/proc/PID/net/tcp` has the same information, but takes many times as long on a machine with much memory:
//! it walks the whole machine's connection table, at a few milliseconds per read.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    thread,
};

use nix::{
    errno::Errno,
    libc,
    sched::{CloneFlags, setns},
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

use super::bounds::MOST_ROWS;
use crate::{capture::TcpState, kernel::SocketRow};

/// `TCPDIAG_GETSOCK`: unlike `SOCK_DIAG_BY_FAMILY` it returns both families in one walk.
const GETSOCK: u16 = 18;
/// `NLM_F_REQUEST` and `NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const AF_INET6: u8 = 10;
/// The states 1 to 11.
const EVERY_STATE: u32 = 0xffe;
/// `struct nlmsghdr`: length `u32`, type `u16`, flags `u16`, sequence `u32`, port `u32`.
const HEADER: usize = 16;
/// A header and a `struct inet_diag_req`: addresses, unused here, then states.
const REQUEST: u8 = 16 + 60;
const STATES: usize = 16 + 52;
/// `struct inet_diag_msg`.
const ROW: usize = 72;

/// A netlink socket in one host's network namespace.
///
/// The namespace exists as long as this does: drop it when the host is gone.
pub struct Diag(OwnedFd);

impl Diag {
    /// Opens a socket inside a process's network namespace, given its pidfd; it then works from outside.
    /// Requires `CAP_SYS_ADMIN`.
    pub fn open(process: impl AsFd + Send) -> nix::Result<Self> {
        let enter = || {
            setns(process, CloneFlags::CLONE_NEWNET)?;
            let protocol = SockProtocol::NetlinkSockDiag;
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
        };
        // Only a short-lived thread changes its namespace.
        thread::scope(|scope| scope.spawn(enter).join().unwrap_or(Err(Errno::EINVAL))).map(Self)
    }

    /// Returns the namespace's TCP sockets, without owners and limited in number, and whether those are all.
    pub fn sockets(&self) -> nix::Result<(Vec<SocketRow>, bool)> {
        send(self.0.as_raw_fd(), &request(), MsgFlags::empty())?;
        let (mut rows, mut whole) = (Vec::new(), true);
        let mut buffer = vec![0; 32 << 10];
        loop {
            let n = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let last = take(&buffer[..n], &mut rows)?;
            whole &= rows.len() <= MOST_ROWS;
            rows.truncate(MOST_ROWS);
            if last {
                return Ok((rows, whole));
            }
        }
    }
}

fn request() -> [u8; REQUEST as usize] {
    let mut request = [0; REQUEST as usize];
    request[..4].copy_from_slice(&u32::from(REQUEST).to_ne_bytes());
    request[4..6].copy_from_slice(&GETSOCK.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    request[STATES..STATES + 4].copy_from_slice(&EVERY_STATE.to_ne_bytes());
    request
}

/// Extracts the rows from a datagram of messages; returns whether it was the last.
pub fn take(mut bytes: &[u8], rows: &mut Vec<SocketRow>) -> nix::Result<bool> {
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let body = bytes.get(HEADER..length).ok_or(Errno::EBADMSG)?;
        match i32::from(u16::from_ne_bytes([header[4], header[5]])) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => {
                let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return Err(Errno::from_raw(code.saturating_neg()));
            }
            _ => rows.extend(body.first_chunk().and_then(row)),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn row(message: &[u8; ROW]) -> Option<SocketRow> {
    let word =
        |at: usize| u32::from_ne_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]]);
    let v6 = message[0] == AF_INET6;
    let address = |at: usize, port: usize| {
        let octets: [u8; 16] = message[at..at + 16].try_into().ok()?;
        let ip = match octets {
            [a, b, c, d, ..] if !v6 => IpAddr::from([a, b, c, d]),
            _ => Ipv6Addr::from(octets).to_canonical(),
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes([message[port], message[port + 1]])))
    };
    let state = TcpState::from_number(message[1])?;
    Some(SocketRow {
        local: address(8, 4)?,
        remote: address(24, 6)?,
        v6,
        state,
        recv_q: word(56),
        // For a listening socket this is the length of its queue, where /proc and netstat have 0.
        send_q: if state == TcpState::Listen { 0 } else { word(60) },
        inode: word(68).into(),
        uid: word(64),
        owners: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        kernel::{order, read_sockets},
        observer::server::handle::Handle,
    };

    #[test]
    fn it_tells_what_proc_tells() {
        let diag = match Diag::open(Handle::open(std::process::id().cast_signed()).unwrap().unwrap()) {
            Err(Errno::EPERM) => {
                return eprintln!("skipped: entering a network namespace needs CAP_SYS_ADMIN");
            }
            diag => diag.unwrap(),
        };
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let dual = TcpListener::bind("[::]:0").unwrap();
        let ports = [v4.local_addr().unwrap().port(), dual.local_addr().unwrap().port()];
        let mut unread = TcpStream::connect(("127.0.0.1", ports[0])).unwrap();
        let mapped = TcpStream::connect(("127.0.0.1", ports[1])).unwrap();
        let accepted = (v4.accept().unwrap(), mapped);
        unread.write_all(b"four").unwrap();

        let ours = |rows: Vec<SocketRow>| {
            let is_ours =
                |row: &SocketRow| [row.local.port(), row.remote.port()].iter().any(|p| ports.contains(p));
            let mut rows: Vec<_> = rows.into_iter().filter(is_ours).collect();
            rows.sort_by_key(order);
            rows
        };
        let from_proc = [("tcp", false), ("tcp6", true)]
            .into_iter()
            .flat_map(|(file, v6)| read_sockets(&fs::read(format!("/proc/self/net/{file}")).unwrap(), v6));
        let from_proc = ours(from_proc.collect());
        assert_eq!(ours(diag.sockets().unwrap().0), from_proc);
        assert_eq!(from_proc.len(), 6, "{from_proc:#?}");
        assert!(from_proc.iter().any(|row| row.recv_q == 4));
        drop(accepted);
    }

    #[test]
    fn a_refusal_is_an_error() {
        let mut message = [0u8; 36];
        message[0] = 36;
        message[4] = 2;
        message[16..20].copy_from_slice(&(-libc::ENOENT).to_ne_bytes());
        assert_eq!(take(&message, &mut Vec::new()), Err(Errno::ENOENT));
        message[0] = 200;
        assert_eq!(take(&message, &mut Vec::new()), Err(Errno::EBADMSG), "longer than the datagram");
    }
}
