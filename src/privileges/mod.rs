//! What a program of a host may do: its user, its capabilities and its system calls.
//!
//! Used on both sides of a host's boundary: by the keeper that builds a host, and by `lab-init`, the last
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

/// The host's ordinary user, which programs under judgement run as.
pub const STUDENT: &str = "student";
/// The user id and group id of that user on a host.
pub const STUDENT_ID: libc::uid_t = 1000;

/// Becomes another user, with that user's group only. If a host has a single user, this process keeps its
/// identity.
pub fn become_user(uid: Uid, gid: Gid) -> nix::Result<()> {
    if geteuid() == uid {
        return Ok(());
    }
    setgroups(&[gid])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

/// Irrevocably drops every capability and the ability to gain privileges by executing a program, and then
/// becomes that user.
pub fn give_up(uid: Uid, gid: Gid) -> nix::Result<()> {
    set_no_new_privs()?;
    Capabilities::NONE.bound()?;
    become_user(uid, gid)?;
    Capabilities::NONE.hold()
}

/// Hides this process's memory, environment and descriptors from everybody without CAP_SYS_PTRACE, until it
/// executes another program.
pub fn hide() -> nix::Result<()> {
    set_dumpable(false)
}
