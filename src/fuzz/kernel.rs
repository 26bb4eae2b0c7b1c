//! Answers of the kernel, parts of which a program may have chosen.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use crate::{
    kernel::{netlink, order, read_sockets},
    observer::{
        render,
        server::{diag, ids, parse},
    },
};

/// Reads an answer of the kernel; the first byte says which one.
pub fn kernel(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 7 {
        0 => {
            if let Some(mut row) = parse::stat(bytes) {
                parse::status(bytes, &mut row);
                super::assert_harmless(&render::ps(&[row]));
            }
        }
        1 => {
            let mut row =
                parse::stat(b"1 (x) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0").expect("a process");
            parse::status(bytes, &mut row);
            row.argv = parse::cmdline(bytes);
            super::assert_harmless(&render::ps(&[row]));
        }
        2 => {
            let mut rows = read_sockets(bytes, false);
            rows.extend(read_sockets(bytes, true));
            rows.sort_by_key(order);
            super::assert_harmless(&render::netstat_putan(&rows, &[]));
        }
        3 => drop(parse::socket_inode(OsStr::from_bytes(bytes))),
        4 => {
            let ids = ids::Ids::read(&String::from_utf8_lossy(bytes));
            let _ = [0, 1, 1000, u32::MAX].map(|uid| ids.inside(uid));
        }
        5 => {
            let mut rows = Vec::new();
            let _ = diag::take(bytes, &mut rows);
            assert!(rows.len() <= bytes.len() / 72, "{} rows of {} bytes", rows.len(), bytes.len());
        }
        _ => {
            if let Ok(messages) = netlink::messages(bytes) {
                assert!(messages.len() <= bytes.len() / 4, "{} messages", messages.len());
            }
        }
    }
}
