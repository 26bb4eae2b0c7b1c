//! What no program of a host may ask of the kernel.
//!
//! In a user namespace of its own making a program has every capability again: it could mount the machine's
//! control groups, and lift its host's limits or freeze what is not ours. So it can make none, as under
//! Docker.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::super::sys;
use crate::{Result, error::Context};

/// Keeps this process, and all that it will run, from making user namespaces. Needs CAP_SYS_ADMIN.
pub fn forbid_user_namespaces() -> Result<()> {
    let what = || "cannot keep a host from making user namespaces";
    for program in programs().or_lab(what)? {
        sys::filter_calls(&program).or_lab(what)?;
    }
    Ok(())
}

fn programs() -> Result<[BpfProgram; 2], Error> {
    let new_user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let is_asked =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(new_user), new_user)?;
    let rule = SeccompRule::new(vec![is_asked])?;
    let with_flags = [(libc::SYS_unshare, vec![rule.clone()]), (libc::SYS_clone, vec![rule])];
    // Its flags are in memory, where no filter can look. The C library falls back to clone(2).
    let with_memory = [(libc::SYS_clone3, Vec::new())];
    Ok([compile(with_flags.into(), libc::EPERM)?, compile(with_memory.into(), libc::ENOSYS)?])
}

/// A filter that fails these calls with that error, and lets all others pass.
fn compile(calls: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, Error> {
    let fail = SeccompAction::Errno(errno.cast_unsigned());
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(calls, SeccompAction::Allow, fail, machine)?.try_into()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_filters_compile() {
        assert!(super::programs().unwrap().iter().all(|program| !program.is_empty()));
    }
}
