//! A host's log: what its own programs print, through a pipe that the keeper empties into a file.
//!
//! Root of a host reaches whatever PID 1 prints to. Were that the file itself, one program could fill
//! the machine's memory, past every limit of its host.

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

/// So many bytes are kept; about 100,000 lines of a server that tells of each client.
const MOST: usize = 8 << 20;

/// What is told in place of the rest.
const FULL: &[u8] = b"\nnetlab: this log is full, and what is printed from now on is not kept\n";

/// A host's log.
pub struct Log {
    file: File,
    /// How much it may still grow.
    room: usize,
    inlet: PipeWriter,
    outlet: PipeReader,
}

impl Log {
    /// A new one at that path.
    pub fn create(path: &Path) -> Result<Self> {
        let create = || {
            let file = File::options().create(true).append(true).mode(0o600).open(path)?;
            let (outlet, inlet) = pipe()?;
            fcntl(&outlet, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            std::io::Result::Ok(Self { file, room: MOST, inlet, outlet })
        };
        create().or_lab(|| format!("cannot write {}", path.display()))
    }

    /// What programs are to print to.
    pub fn inlet(&self) -> &PipeWriter {
        &self.inlet
    }

    /// What can be read when something was printed.
    pub fn outlet(&self) -> BorrowedFd<'_> {
        self.outlet.as_fd()
    }

    /// Takes in some of what was printed. What there is no room for is read, too, so that whoever prints
    /// goes on.
    pub fn take_in(&mut self) {
        let mut printed = vec![0; 64 << 10];
        let Ok(n) = self.outlet.read(&mut printed) else { return };
        let kept = n.min(self.room);
        self.room -= kept;
        // There is nobody to tell that the machine's own memory is full.
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
        log.take_in();
        assert_eq!(std::fs::read(&path).unwrap(), b"first\n");

        let line = [b'x'; 4096];
        for _ in 0..2 * MOST / line.len() {
            log.inlet().write_all(&line).unwrap();
            log.take_in();
        }
        let kept = std::fs::read(&path).unwrap();
        assert_eq!(kept.len(), MOST + FULL.len());
        assert!(kept.ends_with(FULL));
    }
}
