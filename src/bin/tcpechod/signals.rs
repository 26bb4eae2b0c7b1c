//! The signal handlers. A handler may run between any two instructions of the program, so it calls
//! only what signal-safety(7) allows, and puts `errno` back: the code that it interrupted may be
//! about to look at its own.

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

/// Says what a signal does from now on. signal(3) of glibc sets `SA_RESTART`: an accept(2) that the
/// handler interrupts goes on by itself.
pub fn handle(which: Signal, action: SigHandler) {
    // SAFETY: the handlers of this program call nothing that is not async-signal-safe.
    #[allow(unsafe_code)]
    unsafe { signal(which, action) }.unwrap_or_else(|e| fail(format!("signal: {}", strerror(e))));
}

impl Reaper {
    /// What SIGCHLD does with this reaper.
    pub fn handler(self) -> SigHandler {
        match self {
            Self::Loop => SigHandler::Handler(reaper),
            Self::None => SigHandler::SigDfl,
            Self::Once => SigHandler::Handler(reaper_that_waits_once),
            Self::Handout => SigHandler::Handler(reaper_of_the_handout),
        }
    }
}

/// Handles SIGCHLD: a child has ended, and stays a zombie until we ask how.
///
/// Signals do not queue. Two children that end at once may raise one SIGCHLD, so one wait a signal
/// is not enough: we ask until nobody is left to ask for.
extern "C" fn reaper(_sigchld: c_int) {
    let errno = Errno::last_raw();
    while wait_without_hanging() > 0 {}
    Errno::set_raw(errno);
}

/// One wait a signal: of 30 children that end at once, most stay zombies.
extern "C" fn reaper_that_waits_once(_sigchld: c_int) {
    let errno = Errno::last_raw();
    wait_without_hanging();
    Errno::set_raw(errno);
}

/// As the handout prints it. Zero is an answer too: there are children, and all of them are alive. To
/// go on asking then holds the server here, at full speed, until the last of them ends.
extern "C" fn reaper_of_the_handout(_sigchld: c_int) {
    let errno = Errno::last_raw();
    while wait_without_hanging() >= 0 {}
    Errno::set_raw(errno);
}

/// The pid of a child that has ended, which is then no zombie any more; 0 if none has; -1 if there
/// is no child.
fn wait_without_hanging() -> libc::pid_t {
    // SAFETY: waitpid is async-signal-safe, and a null pointer says that we want no status.
    #[allow(unsafe_code)]
    unsafe {
        libc::waitpid(-1, null_mut(), libc::WNOHANG)
    }
}

/// Handles SIGPIPE: says so. It changes nothing but that the process lives on and that the write(2)
/// which raised the signal returns an error instead.
pub extern "C" fn tell_sigpipe(_sigpipe: c_int) {
    let errno = Errno::last_raw();
    // On the stack: the interrupted code may be in the middle of an allocation.
    let mut line = [0; 40];
    let mut rest = &mut line[..];
    let _ = writeln!(rest, "process {} caught SIGPIPE", getpid());
    let unused = rest.len();
    // Descriptor 1 itself: std::io::stdout() allocates when it is first used, and takes a lock.
    // SAFETY: nobody closes it while this program runs; a write to a closed one would only fail.
    #[allow(unsafe_code)]
    let stdout = unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) };
    let _ = write_all(stdout, &line[..line.len() - unused]);
    Errno::set_raw(errno);
}
