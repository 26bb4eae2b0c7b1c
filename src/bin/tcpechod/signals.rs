//! The signal handlers. A handler may run between any two instructions of the program, so it calls only
//! functions that signal-safety(7) allows, and restores `errno`: the code that it interrupts may be about
//! to read it.

use std::{io::Write, os::fd::BorrowedFd, ptr::null_mut};

use nix::{
    errno::Errno,
    libc::{self, c_int},
    sys::signal::{SigHandler, Signal, signal},
    unistd::getpid,
};

use crate::{
    options::Reaper,
    print::{fail, strerror, write_all},
};

/// Sets the action of a signal. glibc's signal(3) sets `SA_RESTART`: an accept(2) that the handler
/// interrupts is restarted automatically.
pub fn handle(which: Signal, action: SigHandler) {
    // SAFETY: the handlers of this program call only async-signal-safe functions.
    #[allow(unsafe_code)]
    unsafe { signal(which, action) }.unwrap_or_else(|e| fail(format!("signal: {}", strerror(e))));
}

impl Reaper {
    /// Returns the action of SIGCHLD for this reaper.
    pub fn handler(self) -> SigHandler {
        match self {
            Self::Loop => SigHandler::Handler(reaper),
            Self::None => SigHandler::SigDfl,
            Self::Once => SigHandler::Handler(reaper_that_waits_once),
            Self::Handout => SigHandler::Handler(reaper_of_the_handout),
        }
    }
}

/// Handles SIGCHLD: a child has ended, and remains a zombie until we wait for it.
///
/// Signals do not queue. Two children that end together may raise a single SIGCHLD, so one wait per
/// signal is not enough: we wait until no child that has ended is left.
extern "C" fn reaper(_sigchld: c_int) {
    let errno = Errno::last_raw();
    while wait_without_hanging() > 0 {}
    Errno::set_raw(errno);
}

/// Waits once per signal: of 30 children that end together, most remain zombies.
extern "C" fn reaper_that_waits_once(_sigchld: c_int) {
    let errno = Errno::last_raw();
    wait_without_hanging();
    Errno::set_raw(errno);
}

/// The handout's version. Zero is a valid result, too: there are children, and all of them are alive. A
/// loop that continues then spins here at full speed until the last of them ends.
extern "C" fn reaper_of_the_handout(_sigchld: c_int) {
    let errno = Errno::last_raw();
    while wait_without_hanging() >= 0 {}
    Errno::set_raw(errno);
}

/// Returns the pid of a child that has ended, which is then no longer a zombie; 0 if no child has ended;
/// -1 if there is no child.
fn wait_without_hanging() -> libc::pid_t {
    // SAFETY: waitpid is async-signal-safe, and a null pointer means that we want no status.
    #[allow(unsafe_code)]
    unsafe {
        libc::waitpid(-1, null_mut(), libc::WNOHANG)
    }
}

/// Handles SIGPIPE by printing a line. The effect of having a handler is that the process continues, and
/// that the write(2) which raised the signal returns an error.
pub extern "C" fn tell_sigpipe(_sigpipe: c_int) {
    let errno = Errno::last_raw();
    // On the stack, because the interrupted code may be in the middle of an allocation.
    let mut line = [0; 40];
    let mut rest = &mut line[..];
    let _ = writeln!(rest, "process {} caught SIGPIPE", getpid());
    let unused = rest.len();
    // Descriptor 1 itself, because std::io::stdout() allocates at its first use, and takes a lock.
    // SAFETY: this program never closes it; a write to a closed descriptor would only fail.
    #[allow(unsafe_code)]
    let stdout = unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) };
    let _ = write_all(stdout, &line[..line.len() - unused]);
    Errno::set_raw(errno);
}
