//! What no program of a host may ask of the kernel (seccomp(2)).
//!
//! In a user namespace of its own making a program has every capability again: it could mount the machine's
//! control groups, and lift its host's limits or freeze what is not ours. Keys belong to users and not to
//! hosts. A file that runs as its owner, left in a folder of the machine, would do so there. The rest is what
//! Docker's default profile forbids, too: interfaces to the machine and not to the host, of little use without
//! privileges and with a history of giving them.

#![allow(unsafe_code, reason = "prctl(2) with a filter has no safe wrapper")]

use std::collections::BTreeMap;

use nix::{errno::Errno, libc};
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::{Result, error::Context};

/// Calls that fail with EPERM whatever they ask.
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

/// Calls whose arguments are in memory, where no filter can look. Programs fall back to older ones.
const UNKNOWN: [i64; 2] = [libc::SYS_clone3, libc::SYS_openat2];

/// fchmodat2(2), which the C library has a wrapper of only lately.
const FCHMODAT2: i64 = 452;

/// Calls that set a file's mode, and which argument it is.
const MODES: &[(i64, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
    (libc::SYS_openat, 3),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2),
];

/// Keeps this process, and all that it will run, from those calls. Needs CAP_SYS_ADMIN or no_new_privs.
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
        refused.insert(call, vec![with(0, new_user)?]);
    }
    for (call, mode) in MODES {
        let rules = [libc::S_ISUID, libc::S_ISGID].map(|bit| with(*mode, bit.into()));
        refused.insert(*call, rules.into_iter().collect::<Result<_, _>>()?);
    }
    let unknown = UNKNOWN.into_iter().map(|call| (call, Vec::new())).collect();
    Ok([compile(refused, libc::EPERM)?, compile(unknown, libc::ENOSYS)?])
}

/// Calls with all of these bits in an argument.
fn with(argument: u8, bits: u64) -> Result<SeccompRule, Error> {
    let asked = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), bits)?;
    Ok(SeccompRule::new(vec![asked])?)
}

/// A filter that fails these calls with that error, and lets all others pass.
fn compile(calls: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, Error> {
    let fail = SeccompAction::Errno(errno.cast_unsigned());
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(calls, SeccompAction::Allow, fail, machine)?.try_into()?)
}

fn install(program: &BpfProgram) -> nix::Result<()> {
    let length = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let filter =
        libc::sock_fprog { len: length, filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    // SAFETY: the kernel reads `len` instructions, which are as its `struct sock_filter`, and changes none.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    Errno::result(set).map(drop)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_filters_compile() {
        assert!(super::programs().unwrap().iter().all(|program| !program.is_empty()));
    }
}
