//! Parses `/proc/PID/stat`, `status`, `cmdline` and `fd` (proc(5)).

use std::ffi::OsStr;

use crate::{kernel::ExitStatus, observer::ProcessRow};

/// Parses `/proc/PID/stat`. The name is in parentheses and may contain anything, parentheses included.
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
        is_reference_program: false,
        copy_of: String::new(),
        uid: 0,
        caught: 0,
        ignored: 0,
        blocked: 0,
        // The last field, which is 0 without permission to read it.
        ended: (state == 'Z').then(|| number(49)).flatten().and_then(ExitStatus::from_wait),
    })
}

/// Adds what only `/proc/PID/status` contains.
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

/// Parses `/proc/PID/cmdline`: each argument ends with a NUL. A program that overwrites its arguments may
/// leave a run of NULs behind.
pub fn cmdline(bytes: &[u8]) -> Vec<String> {
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    bytes[..end].split(|b| *b == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
}

/// Returns the inode in a descriptor's link, if it is a socket: `socket:[INODE]`.
pub fn socket_inode(link: &OsStr) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Names and arguments are the host's text: no content may cause a panic.
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
    fn an_inode_is_a_sockets() {
        assert_eq!(socket_inode(OsStr::new("socket:[12]")), Some(12));
        assert_eq!(socket_inode(OsStr::new("pipe:[12]")), None);
    }
}
