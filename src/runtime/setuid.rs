//! No setuid or setgid file is made on a host.
//!
//! Root of a host may be root of the machine's files, as in a workspace that the host sees: a file which it
//! leaves there with such a bit is a way to become root for whoever runs it on the machine. No flag of the
//! host's own mount is in the way of that, as it only bears on what the host executes.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use crate::{Result, error::Context};

const BITS: [u32; 2] = [libc::S_ISUID, libc::S_ISGID];

/// The same number everywhere (Linux 6.6), and not yet known to the library everywhere.
const SYS_FCHMODAT2: i64 = 452;
/// The calls that set a file's mode, and which argument it is.
const SETTING: &[(i64, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (SYS_FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
];
/// The calls that may make a file, and the argument with the flags that say so. The mode comes next.
const OPENING: &[(i64, u8)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];
/// What has to be set for a mode to count: O_CREAT, or what tells O_TMPFILE from O_DIRECTORY.
const MAKING: [u64; 2] = [libc::O_CREAT as u64, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64];
/// The calls whose modes are in memory, where no filter can look. Libraries fall back to others.
const HIDDEN: &[i64] = &[libc::SYS_openat2, libc::SYS_io_uring_setup];

/// Keeps this thread, and all that it will run, from making such files. What it executes gains no
/// privilege any more, either.
pub fn forbid() -> Result<()> {
    let what = || "cannot keep a host from making setuid files";
    for program in programs().or_lab(what)? {
        apply_filter(&program).or_lab(what)?;
    }
    Ok(())
}

fn programs() -> std::result::Result<[BpfProgram; 2], Error> {
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for bit in BITS {
        for (call, mode) in SETTING {
            calls.entry(*call).or_default().push(SeccompRule::new(vec![has(*mode, bit.into())?])?);
        }
        for (call, flags) in OPENING {
            for making in MAKING {
                let rule = SeccompRule::new(vec![has(*flags, making)?, has(flags + 1, bit.into())?])?;
                calls.entry(*call).or_default().push(rule);
            }
        }
    }
    let hidden = HIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    Ok([compile(calls, libc::EPERM)?, compile(hidden, libc::ENOSYS)?])
}

fn has(argument: u8, bits: u64) -> std::result::Result<SeccompCondition, Error> {
    let is_set = SeccompCmpOp::MaskedEq(bits);
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is_set, bits)?)
}

/// A filter that fails these calls with that error, and lets all others pass.
fn compile(mut calls: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> std::result::Result<BpfProgram, Error> {
    // The same calls by the numbers of the x32 ABI, which some kernels take beside the usual ones.
    if cfg!(target_arch = "x86_64") {
        let x32: Vec<_> = calls.iter().map(|(call, rules)| (call | 1 << 30, rules.clone())).collect();
        calls.extend(x32);
    }
    let fail = SeccompAction::Errno(errno.cast_unsigned());
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(calls, SeccompAction::Allow, fail, machine)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File, OpenOptions, Permissions},
        io,
        os::unix::fs::{OpenOptionsExt, PermissionsExt},
    };

    use super::*;

    fn refused(result: io::Result<File>, errno: i32) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(errno))
    }

    /// In a thread of its own, which is all that the filter is for then.
    #[test]
    fn no_file_gets_such_a_bit_and_others_do() {
        std::thread::spawn(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            File::create(&path).unwrap();
            forbid().unwrap();
            for mode in [0o4755, 0o2755, 0o6755, 0o4000] {
                let set = fs::set_permissions(&path, Permissions::from_mode(mode));
                assert!(refused(set.and_then(|()| File::open(&path)), libc::EPERM), "{mode:o}");
                let mut new = OpenOptions::new();
                let made = new.write(true).create_new(true).mode(mode).open(folder.path().join("new"));
                assert!(refused(made, libc::EPERM), "{mode:o}");
                let unnamed = new.create_new(false).custom_flags(libc::O_TMPFILE).open(folder.path());
                assert!(refused(unnamed, libc::EPERM), "{mode:o}");
            }
            fs::set_permissions(&path, Permissions::from_mode(0o1755)).unwrap();
            fs::create_dir(folder.path().join("folder")).unwrap();
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o755)
                .open(folder.path().join("a"))
                .unwrap();
        })
        .join()
        .unwrap();
    }
}
