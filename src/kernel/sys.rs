//! System calls without a safe wrapper; all of the runtime's `unsafe` is here.

#![allow(unsafe_code)]

use std::{
    ffi::CString,
    io::{self, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    path::Path,
};

use nix::{
    Result,
    errno::Errno,
    libc,
    sched::CloneFlags,
    sys::{
        signal::{SigSet, SigmaskHow, Signal, sigprocmask},
        socket::{ControlMessageOwned, MsgFlags, recvmsg},
    },
    unistd::Pid,
};

use tokio::io::unix::AsyncFd;

use crate::kernel::ExitStatus;

/// Size of a new process's stack, in bytes. It is a copy: untouched pages cost nothing.
const STACK: usize = 1 << 20;

/// `fork` with namespaces: runs `child` in a new process, which exits with the code it returns.
///
/// Only for a process of a single thread, as the keeper is: a lock that another thread held would
/// stay held in the child for ever.
pub fn clone(flags: CloneFlags, mut child: impl FnMut() -> isize) -> Result<Pid> {
    let mut stack = vec![0; STACK];
    // SAFETY: without CLONE_VM the child has its own copy of all memory, the stack included, and
    // there is no other thread that could have held a lock.
    unsafe { nix::sched::clone(Box::new(&mut child), &mut stack, flags, Some(libc::SIGCHLD)) }
}

/// Opens a pidfd, which refers to the same process even after its pid is reused.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd> {
    // SAFETY: the call takes plain numbers and returns a new descriptor of ours.
    unsafe {
        let fd = Errno::result(libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0))?;
        Ok(OwnedFd::from_raw_fd(RawFd::try_from(fd).expect("a descriptor is a small number")))
    }
}

/// Sends a signal to a process by its pidfd.
pub fn kill(process: &OwnedFd, signal: Signal) -> Result<()> {
    let (fd, none) = (process.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
    // SAFETY: takes numbers and a null pointer as `siginfo_t`.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as i32, none, 0) }).map(drop)
}

/// Reaps one child and returns how it ended; waits for one if `block`. `None` if none has ended, or there is
/// none left. (The wrapper knows no real-time signals and would lose a child killed by one.)
pub fn reap(block: bool) -> Option<(Pid, ExitStatus)> {
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: `status` is an integer to write to.
        match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, flags) }) {
            Err(Errno::EINTR) => {}
            Err(_) | Ok(0) => return None,
            Ok(pid) if libc::WIFSIGNALED(status) => {
                return Some((Pid::from_raw(pid), ExitStatus::Signaled(libc::WTERMSIG(status))));
            }
            Ok(pid) => {
                let code = libc::WEXITSTATUS(status).to_le_bytes()[0];
                return Some((Pid::from_raw(pid), ExitStatus::Exited(code)));
            }
        }
    }
}

/// Receives one packet with its descriptors, at most three. The length is 0 once the other side has closed.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; 3]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for control in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(more) = control {
            // SAFETY: the kernel has just installed them for this message; nobody else holds them.
            fds.extend(more.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((received.bytes, fds))
}

/// Registers a descriptor, which must not block, with the async runtime.
pub fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned, so it stays open and the same while it is watched.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

/// Closes every descriptor above the three standard ones.
pub fn close_inherited() {
    // SAFETY: only called before this program has opened any descriptor.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// Makes the mount at `path` read-only; with `all`, those below it too. Flags inherited by a mount from
/// outside a user namespace (nosuid, nodev, …) stay, as they must.
pub fn read_only(path: &Path, all: bool) -> Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    const RDONLY: u64 = 1;
    let attr = MountAttr { set: RDONLY, clear: 0, propagation: 0, userns_fd: 0 };
    let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)?;
    let flags = if all { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `path` is a C string and `attr` is the kernel's `struct mount_attr`, with its size.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Gives this process and its descendants their own session keyring (keyctl(2)). A kernel without keys has
/// none to hide.
pub fn leave_session_keyring() {
    // `KEYCTL_JOIN_SESSION_KEYRING` from `linux/keyctl.h`; without a name it creates a new keyring.
    const JOIN: libc::c_long = 1;
    // SAFETY: takes a number and a null pointer.
    unsafe { libc::syscall(libc::SYS_keyctl, JOIN, std::ptr::null::<libc::c_char>()) };
}

/// Keeps exactly these descriptors, renumbered from 0, open for the program to be executed.
///
/// Only for a process that will neither use any other descriptor again nor drop its owner.
pub fn leave_open(fds: &[BorrowedFd<'_>]) -> Result<()> {
    let first_free = RawFd::try_from(fds.len()).map_err(|_| Errno::EMFILE)?;
    // First all are moved out of each other's way.
    let mut moved = Vec::new();
    for fd in fds {
        // SAFETY: takes plain numbers and returns a new descriptor.
        let fd = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, first_free) };
        moved.push(Errno::result(fd)?);
    }
    for (number, fd) in (0..).zip(moved) {
        // SAFETY: the caller never uses the previous descriptor again.
        Errno::result(unsafe { libc::dup2(fd, number) })?;
    }
    // SAFETY: as above.
    Errno::result(unsafe { libc::close_range(first_free.cast_unsigned(), libc::c_uint::MAX, 0) }).map(drop)
}

/// Sets every signal to its default action and blocks none, as for a login shell's children. An ignored
/// signal or a mask would outlive `exec`, and Rust ignores SIGPIPE. Calls the kernel directly: the C library
/// refuses to change two signals that our parent may have left ignored.
pub fn reset_signals() {
    // The kernel's `struct sigaction`: SIG_DFL, no flags, no restorer, an empty mask.
    let default = [0_u64; 4];
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: `default` is as long as the structure on every 64-bit machine, and this process has no
        // handlers that could be removed. It fails for SIGKILL and SIGSTOP.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8);
        }
    }
    // Fails only for an invalid `how`.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Opens the terminal of a pseudo-terminal's master: through the master and not by name, so that it cannot be
/// another one with the same number.
pub fn terminal_of(master: &impl AsFd) -> Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags and returns a new descriptor of ours.
    unsafe {
        let fd = Errno::result(libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTPEER, flags))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Makes the terminal the controlling terminal of this session.
pub fn control_terminal(terminal: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

/// Sets a terminal's size in characters.
pub fn resize(terminal: &impl AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads a `struct winsize`.
    Errno::result(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
        .map(drop)
}
