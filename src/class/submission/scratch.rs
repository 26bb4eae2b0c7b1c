//! Folders to unpack into. Each is removed with its owner; those of killed owners are removed when the next class
//! is read.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::{Error, Result, error::Context};

/// What their names start with.
const PREFIX: &str = "netlab-unpacked-";
/// How often in a row another netlab may mistake a new folder for an abandoned one.
const TRIES: usize = 8;

/// A temporary folder, removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    /// Locked while the folder is in use, which also ends if this program is killed.
    _lock: File,
}

impl Scratch {
    /// Creates an empty one.
    pub fn new() -> Result<Self> {
        let what = || "cannot make a folder to unpack into";
        for _ in 0..TRIES {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir().or_lab(what)?;
            // Another netlab may have found it before it was locked, and removed it.
            let Ok(lock) = File::open(folder.path()) else { continue };
            if lock.try_lock().is_ok() && folder.path().exists() {
                return Ok(Self { folder, _lock: lock });
            }
        }
        Err(Error::lab(what()))
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes this user's folders that nobody has in use.
pub fn sweep() {
    let Ok(entries) = fs::read_dir(env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let ours = entry.metadata().is_ok_and(|about| about.is_dir() && about.uid() == geteuid().as_raw());
        if !ours || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Ok(lock) = File::open(entry.path())
            && lock.try_lock().is_ok()
        {
            // One that cannot be removed does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_away_and_what_is_in_use_stays() {
        let left = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap().keep();
        fs::write(left.join("a"), "x").unwrap();
        let used = Scratch::new().unwrap();
        sweep();
        assert!(!left.exists());
        assert!(used.path().exists());
    }
}
