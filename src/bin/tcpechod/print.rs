//! What the server prints, and how its processes end.

use std::os::fd::AsFd;

use nix::{libc, unistd::write};

/// Prints a line, whole and at once, wherever standard output goes: no buffer to be lost in a child
/// or to be flushed twice after a fork, and no line of one process inside another's.
pub fn say(mut line: String) {
    line.push('\n');
    let _ = write_all(std::io::stdout(), line.as_bytes());
}

/// Says on standard error what went wrong.
pub fn complain(mut why: String) {
    why.push('\n');
    let _ = write_all(std::io::stderr(), why.as_bytes());
}

/// Says on standard error why this process cannot go on, and ends it.
pub fn fail(why: String) -> ! {
    complain(why);
    exit(1)
}

/// Ends this process, parent or child, with `_exit(2)`: what exit(3) does besides (flush buffers, run
/// the exit handlers) would be done twice, in the child and again in the parent.
pub fn exit(code: i32) -> ! {
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
