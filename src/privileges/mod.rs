//! What a program of a host may do: as which user, with which capabilities, with which system calls.
//!
//! Used on both sides of a host's wall: by the keeper that makes a host, and by `lab-init`, the last
//! program before a student's.

mod capabilities;
mod filter;

use nix::{
    libc,
    sys::prctl::{set_dumpable, set_no_new_privs},
    unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid},
};

pub use capabilities::Capabilities;
pub use filter::restrict_calls;

/// The host's ordinary user, as whom a program under judgement runs.
pub const STUDENT: &str = "student";
/// The ids of that user and of its group, on a host.
pub const STUDENT_ID: libc::uid_t = 1000;

/// Becomes another user, with its group and no other. Where a host has a single user there is no other
/// to become, and this process stays who it is.
pub fn become_user(uid: Uid, gid: Gid) -> nix::Result<()> {
    if geteuid() == uid {
        return Ok(());
    }
    setgroups(&[gid])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

/// Gives up for good what this process could gain by executing a program, and every capability, and then
/// becomes that user.
pub fn give_up(uid: Uid, gid: Gid) -> nix::Result<()> {
    set_no_new_privs()?;
    Capabilities::NONE.bound()?;
    become_user(uid, gid)?;
    Capabilities::NONE.hold()
}

/// Keeps this process's memory, environment and descriptors from everybody without CAP_SYS_PTRACE, until it
/// executes another program.
pub fn hide() -> nix::Result<()> {
    set_dumpable(false)
}
