//! Where labs keep their state: one folder a lab, held by the lab's keeper for as long as it lives.
//!
//! | file | what it is |
//! |---|---|
//! | `lab.json` | the plan |
//! | `keeper.sock` | where the keeper listens |
//! | `lock` | locked by the keeper for life: who can lock it knows that the lab is dead |
//! | `cgroups` | the control groups it has made, if any |
//! | `HOST.log` | what the host's own programs have printed |
//!
//! Building and clearing are done with the folder itself locked, so that two of them take turns.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{Flock, FlockArg},
    unistd::geteuid,
};

use crate::{Error, Result, error::Context, topology::Plan};

/// The folder that holds a user's labs.
#[derive(Clone, Debug)]
pub struct Base(PathBuf);

impl Base {
    /// `NETLAB_STATE` if set; else for root `/run/netlab`; else `netlab` in the user's runtime folder
    /// (`XDG_RUNTIME_DIR`) where there is one; else `/tmp/netlab-UID`.
    pub fn locate() -> Self {
        let user = geteuid();
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|m| m.uid() == user.as_raw());
        Self(if let Some(path) = variable("NETLAB_STATE") {
            path
        } else if user.is_root() {
            "/run/netlab".into()
        } else if let Some(path) = variable("XDG_RUNTIME_DIR").filter(own) {
            path.join("netlab")
        } else {
            format!("/tmp/netlab-{user}").into()
        })
    }

    /// That folder instead.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder if it is not there, and refuses one that is another user's: who can write to
    /// it could have programs started on the user's behalf.
    pub fn prepare(&self) -> Result<()> {
        let what = || format!("cannot keep the lab's state in {}", self.0.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).or_lab(what)?;
        let found = fs::symlink_metadata(&self.0).or_lab(what)?;
        if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o022 != 0 {
            return Err(Error::lab(what())
                .caused_by("others may write to it")
                .hint("set NETLAB_STATE to a folder of your own"));
        }
        Ok(())
    }

    /// The folder of a lab.
    pub fn folder(&self, lab: &str) -> Result<Folder> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if lab.is_empty() || lab.len() > 32 || !lab.chars().all(plain) {
            return Err(Error::usage(format!("not a lab's name: {lab:?}"))
                .hint("a name has letters, digits and dashes, at most 32"));
        }
        Ok(Folder(self.0.join(lab)))
    }

    /// The names of the labs that have a folder, dead or alive.
    pub fn labs(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.or_lab(|| format!("cannot read {}", self.0.display()))?,
        };
        let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| self.folder(name).is_ok()).collect();
        names.sort();
        Ok(names)
    }
}

/// The folder of one lab, which may or may not be there.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at that path.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the keeper listens.
    pub fn socket(&self) -> PathBuf {
        self.0.join("keeper.sock")
    }

    /// The host's log.
    pub fn log(&self, host: &str) -> PathBuf {
        self.0.join(format!("{host}.log"))
    }

    /// Where the keeper writes down which control groups it makes.
    pub fn cgroups(&self) -> PathBuf {
        self.0.join("cgroups")
    }

    /// The plan that the lab was to be built from, if it got that far.
    pub fn plan(&self) -> Option<Plan> {
        serde_json::from_slice(&fs::read(self.0.join("lab.json")).ok()?).ok()
    }

    /// Keeps the plan.
    pub fn write_plan(&self, plan: &Plan) -> Result<()> {
        let path = self.0.join("lab.json");
        let text = serde_json::to_vec(plan).or_lab(|| "cannot write down the plan")?;
        fs::write(&path, text).or_lab(|| format!("cannot write {}", path.display()))
    }

    /// Waits for its turn to build or clear the lab; the folder is there then.
    pub fn claim(&self) -> Result<Claim> {
        let what = || format!("cannot keep the lab's state in {}", self.0.display());
        loop {
            match DirBuilder::new().mode(0o700).create(&self.0) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e).or_lab(what),
                _ => {}
            }
            let Ok(dir) = File::open(&self.0) else { continue };
            let turn = Flock::lock(dir, FlockArg::LockExclusive).map_err(|(_, e)| e).or_lab(what)?;
            // Who had the turn before may have removed the folder, and another may have made it anew.
            let held = turn.metadata().or_lab(what)?;
            if fs::metadata(&self.0).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
                return Ok(Claim { folder: self.clone(), _turn: turn });
            }
        }
    }
}

/// The right to build or clear a lab, until dropped.
#[derive(Debug)]
pub struct Claim {
    folder: Folder,
    _turn: Flock<File>,
}

impl Claim {
    /// The lock that a keeper holds for life; `None` while one does.
    pub fn life(&self) -> Result<Option<Flock<File>>> {
        let path = self.folder.0.join("lock");
        let what = || format!("cannot lock {}", path.display());
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).or_lab(what)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, e)) => Err(e).or_lab(what),
        }
    }

    /// Removes what a dead keeper left, but for the folder and its lock.
    pub fn clear(&self) -> Result<()> {
        let what = || format!("cannot clear {}", self.folder.0.display());
        for entry in fs::read_dir(&self.folder.0).or_lab(what)?.flatten() {
            if entry.file_name() != "lock" {
                fs::remove_file(entry.path()).or_lab(what)?;
            }
        }
        Ok(())
    }

    /// Removes the folder with all that is in it.
    pub fn remove(self) -> Result<()> {
        let path = &self.folder.0;
        fs::remove_dir_all(path).or_lab(|| format!("cannot remove {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        let base = Base::at("/nowhere");
        for name in ["", "..", "a/b", "a b", &"x".repeat(33)] {
            assert!(base.folder(name).is_err(), "{name:?}");
        }
        assert_eq!(base.folder("lab-1").unwrap().socket(), Path::new("/nowhere/lab-1/keeper.sock"));
    }

    #[test]
    fn a_lab_is_dead_when_nobody_holds_its_life() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Base::at(dir.path()).folder("x").unwrap();
        let claim = folder.claim().unwrap();
        let life = claim.life().unwrap().expect("nobody else holds it");
        assert!(claim.life().unwrap().is_none(), "held by this test");
        drop(life);
        assert!(claim.life().unwrap().is_some());
        claim.remove().unwrap();
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_folder_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = Base::at(dir.path()).prepare().unwrap_err();
        assert!(error.hint.unwrap().contains("NETLAB_STATE"));
    }
}
