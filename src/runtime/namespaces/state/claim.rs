//! Turns to build or clear a lab.

use std::fs::{self, File};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::{Folder, folder::inside, refused};
use crate::{Result, error::Context, own};

/// The right to build or clear a lab, until dropped.
#[derive(Debug)]
pub struct Claim {
    folder: Folder,
    turn: Flock<File>,
}

impl Claim {
    pub(super) fn new(folder: Folder, turn: Flock<File>) -> Self {
        Self { folder, turn }
    }

    /// Takes the lock that a keeper holds for its whole life; `None` while a keeper holds it.
    pub fn life(&self) -> Result<Option<Flock<File>>> {
        let path = self.folder.path().join(LOCK);
        let file = own::append(&inside(&*self.turn, LOCK)).map_err(|e| refused(&path, e))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, e)) => Err(e).or_lab(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Removes what a dead keeper left, except the folder and its lock.
    pub fn clear(&self) -> Result<()> {
        let what = || format!("cannot clear {}", self.folder.path().display());
        for entry in fs::read_dir(self.folder.path()).or_lab(what)?.flatten() {
            if entry.file_name() != LOCK {
                fs::remove_file(entry.path()).or_lab(what)?;
            }
        }
        Ok(())
    }

    /// Removes the folder and everything in it.
    pub fn remove(self) -> Result<()> {
        let path = self.folder.path();
        fs::remove_dir_all(path).or_lab(|| format!("cannot remove {}", path.display()))
    }
}

pub(super) const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_lab_is_dead_when_nobody_holds_its_life() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path().join("x"));
        let claim = folder.claim().unwrap();
        let life = claim.life().unwrap().expect("nobody else holds it");
        assert!(claim.life().unwrap().is_none(), "held by this test");
        drop(life);
        assert!(claim.life().unwrap().is_some());
        claim.remove().unwrap();
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_link_in_place_of_a_folder_or_of_its_lock_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (elsewhere, lock) = (dir.path().join("elsewhere"), dir.path().join("made"));
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, dir.path().join("link")).unwrap();
        assert!(Folder::at(dir.path().join("link")).claim().is_err());

        let claim = Folder::at(dir.path().join("x")).claim().unwrap();
        symlink(&lock, dir.path().join("x/lock")).unwrap();
        assert!(claim.life().is_err() && !lock.exists());
    }
}
