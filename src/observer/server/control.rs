//! Sends signals to a host's processes, and finds their pids there.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    ptr,
};

use nix::{errno::Errno, libc};

use super::{handle::Handle, hosts::Host};

/// Sends a signal to a process, given its pid on the host. The error is text.
///
/// The process is identified by its open folder in the host's `/proc`, which `pidfd_send_signal`(2) accepts
/// like a pidfd: no other process can get the signal, even if the pid is reused meanwhile.
pub fn signal(host: &Host, pid: i32, signal: i32) -> Result<(), String> {
    let sent = host.process_folder(pid).and_then(|folder| send(&folder, signal));
    sent.map_err(|e| match e {
        Errno::ENOENT | Errno::ESRCH => format!("no process {pid} on {}", host.name),
        Errno::EINVAL => format!("there is no signal {signal}"),
        e => format!("cannot signal process {pid} on {}: {}", host.name, io::Error::from(e)),
    })
}

/// The kernel fills in the sender; std and nix have no wrapper for this call.
#[allow(unsafe_code)]
fn send(process: &OwnedFd, signal: i32) -> nix::Result<()> {
    let info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor stays open during the call, and a null siginfo is allowed.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, info, 0) };
    Errno::result(done).map(drop)
}

/// Returns a process's pid on its host, given its pid here.
pub fn resolve<'h>(hosts: impl IntoIterator<Item = &'h Host>, outer: i32) -> Result<i32, String> {
    let gone = || format!("no process {outer}");
    let process = Handle::open(outer).ok().flatten().ok_or_else(gone)?;
    let numbers = process.numbers().map_err(|_| gone())?;
    let namespace = process.pid_namespace().map_err(|_| gone())?;
    hosts
        .into_iter()
        .find(|host| host.namespace == namespace)
        .and_then(|_| numbers.last().copied())
        .ok_or_else(|| format!("process {outer} is not on a host of this lab"))
}
