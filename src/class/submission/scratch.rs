//! Folders to unpack into. Each goes away with its owner, and those of owners that were ended by force go
//! away when the next class is read.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::{Error, Result, error::Context};

/// What their names begin with.
const PREFIX: &str = "netlab-unpacked-";
/// So many times in a row somebody else may take a new folder for one that was left.
const TRIES: usize = 8;

/// A folder of one's own, until dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    /// Locked as long as the folder is in use, which ends also when this program is ended by force.
    _lock: File,
}

impl Scratch {
    /// An empty one.
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

    /// Where it is.
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
            // One that cannot be removed is in nobody's way.
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
