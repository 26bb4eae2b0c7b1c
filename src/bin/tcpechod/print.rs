//! What the server prints, and how its processes end.

use std::{io, os::fd::AsFd};

use nix::{libc, unistd::write};

/// Prints a line, whole and at once, wherever standard output goes: no buffer to be lost in a child
/// or to be flushed twice after a fork, and no line of one process inside another's.
pub fn say(mut line: String) {
    line.push('\n');
    let _ = write_all(io::stdout(), line.as_bytes());
}

/// Says on standard error what went wrong.
pub fn complain(mut why: String) {
    why.push('\n');
    let _ = write_all(io::stderr(), why.as_bytes());
}

/// Says on standard error why this process cannot go on, and ends it.
pub fn fail(why: String) -> ! {
    complain(why);
    exit_now(1)
}

/// _exit(2): ends this process, parent or child, at once. What exit(3) does first (flush buffers, run
/// the exit handlers) would be done twice, in the child and again in the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(code)
    }
}

/// write(2) may take less than it is given.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[write(&fd, bytes)?..];
    }
    Ok(())
}

/// What an error says, without the number that Rust adds to it, e.g. `Address already in use`.
pub fn strerror(error: impl Into<io::Error>) -> String {
    let text = error.into().to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
