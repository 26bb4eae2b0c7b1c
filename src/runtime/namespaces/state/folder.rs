//! The folder of one lab.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};

use super::{Claim, claim::LOCK, refused};
use crate::{Result, error::Context, own, topology::Plan};

/// A plan of a thousand hosts is some of these.
const MOST_PLAN: u64 = 64 << 20;

/// The folder of a lab as its keeper has it, which may or may not be there.
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
        self.0.join(SOCKET)
    }

    /// The host's log.
    pub fn log(&self, host: &str) -> PathBuf {
        self.0.join(log(host))
    }

    /// Where the keeper writes down which control groups it makes.
    pub fn cgroups(&self) -> PathBuf {
        self.0.join("cgroups")
    }

    /// Keeps the plan.
    pub fn write_plan(&self, plan: &Plan) -> Result<()> {
        let path = self.0.join(PLAN);
        let what = || format!("cannot write {}", path.display());
        let text = serde_json::to_vec(plan).or_lab(|| "cannot write down the plan")?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).or_lab(what)?;
        file.write_all(&text).or_lab(what)
    }

    /// Waits for its turn to build or clear the lab; the folder is there then.
    pub fn claim(&self) -> Result<Claim> {
        let what = || format!("cannot keep the lab's state in {}", self.0.display());
        loop {
            match DirBuilder::new().mode(0o700).create(&self.0) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e).or_lab(what),
                _ => {}
            }
            let folder = match own::folder(&self.0) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(|e| refused(&self.0, e))?,
            };
            let turn = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, e)| e).or_lab(what)?;
            // Who had the turn before may have removed the folder, and another may have made it anew.
            let held = turn.metadata().or_lab(what)?;
            if fs::metadata(&self.0).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
                return Ok(Claim::new(self.clone(), turn));
            }
        }
    }
}

/// The folder of a lab that is there and was found to be this user's own, as commands have it. Whatever
/// is opened in it is opened in this folder, also if another one has its name by now.
#[derive(Debug)]
pub struct Found {
    folder: Folder,
    opened: File,
}

impl Found {
    pub(super) fn open(path: PathBuf) -> Result<Option<Self>> {
        match own::folder(&path) {
            Ok(opened) => Ok(Some(Self { folder: Folder(path), opened })),
            // A file beside the labs' folders is no lab.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(refused(&path, e)),
        }
    }

    /// Where the keeper listens, if there is a socket. Short enough for its address, however long the
    /// folder's name is.
    pub fn socket(&self) -> Result<Option<PathBuf>> {
        let path = self.inside(SOCKET);
        let checked = fs::symlink_metadata(&path).and_then(|about| own::check(&about));
        self.found(SOCKET, checked).map(|found| found.map(|()| path))
    }

    /// Whether it was made for a lab: it holds what a keeper makes first, or nothing yet. In a folder of the user's
    /// choice there may be others.
    pub fn is_labs(&self) -> bool {
        let has = |name| fs::symlink_metadata(self.inside(name)).is_ok();
        let is_empty = || fs::read_dir(self.inside(".")).is_ok_and(|mut entries| entries.next().is_none());
        [LOCK, SOCKET, PLAN].into_iter().any(has) || is_empty()
    }

    /// The plan that the lab was to be built from, if it got that far.
    pub fn plan(&self) -> Result<Option<Plan>> {
        let text = self.found(PLAN, own::read(&self.inside(PLAN), MOST_PLAN))?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// The host's log, and where it can be watched.
    pub fn log(&self, host: &str) -> Result<(File, PathBuf)> {
        let path = self.inside(&log(host));
        let file = own::file(&path).or_lab(|| format!("cannot read the log of {host}"))?;
        Ok((file, path))
    }

    /// The same folder to be cleared.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    fn inside(&self, name: &str) -> PathBuf {
        inside(&self.opened, name)
    }

    fn found<T>(&self, name: &str, result: io::Result<T>) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(refused(&self.folder.0.join(name), e)),
        }
    }
}

/// A file of an open folder.
pub(super) fn inside(folder: &impl AsRawFd, name: &str) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}

const SOCKET: &str = "keeper.sock";
const PLAN: &str = "lab.json";

fn log(host: &str) -> String {
    format!("{host}.log")
}
