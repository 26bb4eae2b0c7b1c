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

/// Maximum size of a plan, in bytes; a plan of a thousand hosts is far smaller.
const MOST_PLAN: u64 = 64 << 20;

/// The folder of a lab, as its keeper uses it; it may not exist.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at that path.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the keeper's socket.
    pub fn socket(&self) -> PathBuf {
        self.0.join(SOCKET)
    }

    /// Returns the path of the host's log.
    pub fn log(&self, host: &str) -> PathBuf {
        self.0.join(log(host))
    }

    /// Returns the path of the keeper's record of control groups.
    pub fn cgroups(&self) -> PathBuf {
        self.0.join("cgroups")
    }

    /// Writes the plan.
    pub fn write_plan(&self, plan: &Plan) -> Result<()> {
        let path = self.0.join(PLAN);
        let what = || format!("cannot write {}", path.display());
        let text = serde_json::to_vec(plan).or_lab(|| "cannot serialise the plan")?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).or_lab(what)?;
        file.write_all(&text).or_lab(what)
    }

    /// Waits for a turn to build or clear the lab; the folder exists then.
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
            // The process before may have removed the folder, and another may have created it again.
            let held = turn.metadata().or_lab(what)?;
            if fs::metadata(&self.0).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
                return Ok(Claim::new(self.clone(), turn));
            }
        }
    }
}

/// An existing folder of a lab that was found to be this user's own, as commands use it. Files are opened
/// relative to the open folder, even if another one has its name by now.
#[derive(Debug)]
pub struct Found {
    folder: Folder,
    opened: File,
}

impl Found {
    pub(super) fn open(path: PathBuf) -> Result<Option<Self>> {
        match own::folder(&path) {
            Ok(opened) => Ok(Some(Self { folder: Folder(path), opened })),
            // A file beside the labs' folders is not a lab.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(refused(&path, e)),
        }
    }

    /// Returns the path of the keeper's socket, if there is one. It is short enough for a socket address,
    /// however long the folder's name is.
    pub fn socket(&self) -> Result<Option<PathBuf>> {
        let path = self.inside(SOCKET);
        let checked = fs::symlink_metadata(&path).and_then(|about| own::check(&about));
        self.found(SOCKET, checked).map(|found| found.map(|()| path))
    }

    /// Returns whether it was created for a lab: it contains what a keeper creates first, or nothing yet. A
    /// folder that the user chose may also contain others.
    pub fn is_labs(&self) -> bool {
        let has = |name| fs::symlink_metadata(self.inside(name)).is_ok();
        let is_empty = || fs::read_dir(self.inside(".")).is_ok_and(|mut entries| entries.next().is_none());
        [LOCK, SOCKET, PLAN].into_iter().any(has) || is_empty()
    }

    /// Returns the plan that the lab was to be built from, if it was written.
    pub fn plan(&self) -> Result<Option<Plan>> {
        let text = self.found(PLAN, own::read(&self.inside(PLAN), MOST_PLAN))?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Opens the host's log, and returns it with the path at which it can be watched.
    pub fn log(&self, host: &str) -> Result<(File, PathBuf)> {
        let path = self.inside(&log(host));
        let file = own::file(&path).or_lab(|| format!("cannot read the log of {host}"))?;
        Ok((file, path))
    }

    /// Returns the same folder, to be cleared.
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

/// Returns the path of a file in an open folder.
pub(super) fn inside(folder: &impl AsRawFd, name: &str) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}

const SOCKET: &str = "keeper.sock";
const PLAN: &str = "lab.json";

fn log(host: &str) -> String {
    format!("{host}.log")
}
