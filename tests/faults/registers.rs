//! Reads and changes system calls in the registers of a thread stopped before one.

use nix::{errno::Errno, libc::c_long, unistd::Pid};

/// Whether this processor is supported.
pub const KNOWN: bool = cfg!(target_arch = "x86_64");

/// Returns the call's number and its first arguments.
#[cfg(target_arch = "x86_64")]
pub fn call(thread: Pid) -> Option<(c_long, [u64; 3])> {
    // It may have been killed in the meantime.
    let registers = nix::sys::ptrace::getregs(thread).ok()?;
    Some((registers.orig_rax.cast_signed(), [registers.rdi, registers.rsi, registers.rdx]))
}

/// Makes the call fail instead.
#[cfg(target_arch = "x86_64")]
pub fn fail(thread: Pid, error: Errno) {
    let mut registers = nix::sys::ptrace::getregs(thread).unwrap();
    registers.orig_rax = u64::MAX;
    registers.rax = (-i64::from(error as i32)).cast_unsigned();
    nix::sys::ptrace::setregs(thread, registers).unwrap();
}

#[cfg(not(target_arch = "x86_64"))]
pub fn call(_: Pid) -> Option<(c_long, [u64; 3])> {
    None
}

#[cfg(not(target_arch = "x86_64"))]
pub fn fail(_: Pid, _: Errno) {}
