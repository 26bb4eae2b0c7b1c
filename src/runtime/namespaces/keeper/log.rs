//! A host's log: the output of its own programs, which the keeper reads from a pipe and writes to a file.
//!
//! Root of a host can write to PID 1's output. If that were the file itself, one program could fill the
//! machine's memory, past every limit of its host.

use std::{
    fs::File,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::{Result, error::Context};

/// Maximum size in bytes; about 100,000 lines from a server that logs each client.
const MOST: usize = 8 << 20;

/// The line that replaces the rest.
const FULL: &[u8] = b"\nnetlab: this log is full; further output is dropped\n";

/// A host's log.
pub struct Log {
    file: File,
    /// How many more bytes it may hold.
    room: usize,
    inlet: PipeWriter,
    outlet: PipeReader,
}

impl Log {
    /// Creates a log at that path.
    pub fn create(path: &Path) -> Result<Self> {
        let create = || {
            let file = File::options().create(true).append(true).mode(0o600).open(path)?;
            let (outlet, inlet) = pipe()?;
            fcntl(&outlet, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            std::io::Result::Ok(Self { file, room: MOST, inlet, outlet })
        };
        create().or_lab(|| format!("cannot write {}", path.display()))
    }

    /// Returns the pipe that programs write to.
    pub fn inlet(&self) -> &PipeWriter {
        &self.inlet
    }

    /// Returns the descriptor that becomes readable when something was written.
    pub fn outlet(&self) -> BorrowedFd<'_> {
        self.outlet.as_fd()
    }

    /// Reads some of the output. What no longer fits is read as well, so that programs do not block.
    pub fn drain(&mut self) {
        let mut printed = vec![0; 64 << 10];
        let Ok(n) = self.outlet.read(&mut printed) else { return };
        let kept = n.min(self.room);
        self.room -= kept;
        // If the machine's own memory is full, there is nobody to report it to.
        let _ = self.file.write_all(&printed[..kept]);
        if kept > 0 && self.room == 0 {
            let _ = self.file.write_all(FULL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_grows_up_to_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.log");
        let mut log = Log::create(&path).unwrap();
        log.inlet().write_all(b"first\n").unwrap();
        log.drain();
        assert_eq!(std::fs::read(&path).unwrap(), b"first\n");

        let line = [b'x'; 4096];
        for _ in 0..2 * MOST / line.len() {
            log.inlet().write_all(&line).unwrap();
            log.drain();
        }
        let kept = std::fs::read(&path).unwrap();
        assert_eq!(kept.len(), MOST + FULL.len());
        assert!(kept.ends_with(FULL));
    }
}
