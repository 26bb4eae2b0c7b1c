//! System calls that no program of a host may use (seccomp(2)).
//!
//! In a user namespace that it created, a program has every capability again: it could mount the machine's
//! control groups, and lift its host's limits or freeze other processes. Keys belong to users and not to
//! hosts. A setuid file left in a folder of the machine would take effect there. Docker's default profile
//! forbids the rest, too: interfaces to the machine and not to the host, of little use without privileges and
//! with a history of privilege escalation.

#![allow(unsafe_code, reason = "prctl(2) with a filter has no safe wrapper")]

use std::collections::BTreeMap;

use nix::{errno::Errno, libc};
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::{Result, error::Context};

/// Calls that always fail with EPERM.
const FORBIDDEN: [i64; 34] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
];

/// Calls whose arguments are in memory, where no filter can check them. They fail with ENOSYS, and programs
/// fall back to older calls.
const UNKNOWN: [i64; 2] = [libc::SYS_clone3, libc::SYS_openat2];

/// fchmodat2(2), for which the C library has a wrapper only in recent versions.
const FCHMODAT2: i64 = 452;

/// The setuid and setgid bits.
const RUN_AS_OWNER: [u32; 2] = [libc::S_ISUID, libc::S_ISGID];
/// Calls that set a file's mode, and the index of that argument.
const SETTING: &[(i64, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
];
/// Calls that may create a file, and the index of their flags argument. The mode comes next.
const OPENING: &[(i64, u8)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];
/// Flags that make a mode count: O_CREAT, or the bit that distinguishes O_TMPFILE from O_DIRECTORY.
const MAKING: [u64; 2] = [libc::O_CREAT as u64, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64];

/// Denies those calls to this process and its descendants. Needs CAP_SYS_ADMIN or no_new_privs.
pub fn restrict_calls() -> Result<()> {
    let what = || "cannot restrict the system calls of a host's programs";
    for program in programs().or_lab(what)? {
        install(&program).or_lab(what)?;
    }
    Ok(())
}

fn programs() -> Result<[BpfProgram; 2], Error> {
    let new_user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.into_iter().map(|call| (call, Vec::new())).collect();
    for call in [libc::SYS_unshare, libc::SYS_clone] {
        refused.insert(call, vec![SeccompRule::new(vec![has(0, new_user)?])?]);
    }
    for bit in RUN_AS_OWNER.map(u64::from) {
        for (call, mode) in SETTING {
            refused.entry(*call).or_default().push(SeccompRule::new(vec![has(*mode, bit)?])?);
        }
        for (call, flags) in OPENING {
            for making in MAKING {
                let rule = SeccompRule::new(vec![has(*flags, making)?, has(flags + 1, bit)?])?;
                refused.entry(*call).or_default().push(rule);
            }
        }
    }
    let unknown = UNKNOWN.into_iter().map(|call| (call, Vec::new())).collect();
    Ok([compile(refused, libc::EPERM)?, compile(unknown, libc::ENOSYS)?])
}

/// Returns the condition that all of these bits are set in an argument.
fn has(argument: u8, bits: u64) -> Result<SeccompCondition, Error> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), bits)?)
}

/// Compiles a filter that fails these calls with this error, and allows all others.
fn compile(mut calls: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, Error> {
    // The same calls by the numbers of the x32 ABI, which some kernels accept as well.
    if cfg!(target_arch = "x86_64") {
        let x32: Vec<_> = calls.iter().map(|(call, rules)| (call | 1 << 30, rules.clone())).collect();
        calls.extend(x32);
    }
    let fail = SeccompAction::Errno(errno.cast_unsigned());
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(calls, SeccompAction::Allow, fail, machine)?.try_into()?)
}

fn install(program: &BpfProgram) -> nix::Result<()> {
    let length = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let filter =
        libc::sock_fprog { len: length, filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    // SAFETY: the kernel reads `len` instructions, laid out as its `struct sock_filter`, and changes none.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    Errno::result(set).map(drop)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File, OpenOptions, Permissions},
        io,
        os::unix::fs::{OpenOptionsExt, PermissionsExt},
    };

    use nix::sys::prctl::set_no_new_privs;

    use super::*;

    fn is_refused(result: io::Result<File>) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    /// Runs in its own thread, the only one that the filter then applies to.
    #[test]
    fn no_file_is_made_that_runs_as_its_owner_and_others_are() {
        let attempt = || {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            File::create(&path).unwrap();
            set_no_new_privs().unwrap();
            restrict_calls().unwrap();
            for mode in [0o4755, 0o2755, 0o6755, 0o4000] {
                let set = fs::set_permissions(&path, Permissions::from_mode(mode));
                assert!(is_refused(set.and_then(|()| File::open(&path))), "{mode:o}");
                let mut new = OpenOptions::new();
                let made = new.write(true).create_new(true).mode(mode).open(folder.path().join("new"));
                assert!(is_refused(made), "{mode:o}");
                let unnamed = new.create_new(false).custom_flags(libc::O_TMPFILE).open(folder.path());
                assert!(is_refused(unnamed), "{mode:o}");
            }
            fs::set_permissions(&path, Permissions::from_mode(0o1755)).unwrap();
            fs::create_dir(folder.path().join("folder")).unwrap();
            let mut plain = OpenOptions::new();
            plain.write(true).create_new(true).mode(0o755).open(folder.path().join("plain")).unwrap();
        };
        std::thread::spawn(attempt).join().unwrap();
    }
}
