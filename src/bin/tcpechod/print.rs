//! Printing, and ending a process.

use std::{io, os::fd::AsFd};

use nix::{libc, unistd::write};

/// Prints a line at once and whole, wherever standard output goes. There is no buffer that could be lost in
/// a child or flushed twice after a fork, and no line of one process ends up inside another's.
pub fn say(mut line: String) {
    line.push('\n');
    let _ = write_all(io::stdout(), line.as_bytes());
}

/// Prints on standard error what went wrong.
pub fn complain(mut why: String) {
    why.push('\n');
    let _ = write_all(io::stderr(), why.as_bytes());
}

/// Prints on standard error why this process cannot continue, and ends it.
pub fn fail(why: String) -> ! {
    complain(why);
    exit_now(1)
}

/// _exit(2): ends this process, parent or child, at once. exit(3) would first flush buffers and run exit
/// handlers, which would then happen twice: in the child and again in the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(code)
    }
}

/// Writes all bytes: a single write(2) may accept fewer than it is given.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[write(&fd, bytes)?..];
    }
    Ok(())
}

/// Returns an error's text without the number that Rust appends, e.g. `Address already in use`.
pub fn strerror(error: impl Into<io::Error>) -> String {
    let text = error.into().to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
