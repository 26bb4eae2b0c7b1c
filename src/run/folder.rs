//! Where a run leaves its files.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    Error, Result,
    error::Context,
    judge::Artifacts,
    own,
    record::{self, Record},
};

/// Where a run leaves its files. It may be in a workspace, where programs on the hosts can change anything. So it is
/// kept open: files are written to this very folder and never through a symbolic link.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    opened: Arc<File>,
}

impl Folder {
    /// Creates a folder under `parent`, named after the exercise and the time. Only its owner may read it, as it holds
    /// captured traffic.
    pub fn create(parent: &Path, exercise: &str) -> Result<Self> {
        let time = jiff::Zoned::now().strftime("%Y-%m-%dT%H-%M-%S").to_string();
        for n in 1.. {
            let tail = if n == 1 { String::new() } else { format!("-{n}") };
            let path = parent.join(format!("exercise-{exercise}-{time}{tail}"));
            let create = || {
                fs::create_dir_all(parent)?;
                own::new_folder(&path)?;
                own::any_folder(&path)
            };
            match create() {
                Ok(opened) => return Ok(Self { path, opened: Arc::new(opened) }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Error::lab(format!("cannot create {}", path.display()))
                        .caused_by(error)
                        .hint("--captures names another folder"));
                }
            }
        }
        unreachable!("some number is free")
    }

    /// Opens the folder of a run that is over.
    pub fn of(path: &Path) -> Result<Self> {
        let opened = own::any_folder(path).or_usage(|| format!("cannot open {}", path.display()))?;
        Ok(Self { path: path.to_owned(), opened: Arc::new(opened) })
    }

    /// The folder's files.
    pub fn artifacts(&self) -> Artifacts {
        Artifacts::in_folder(&self.path)
    }

    /// Writes a run's record.
    pub fn keep(&self, record: &Record) -> Result<()> {
        self.write(&self.path.join(record::FILE), &record.pack()?)
    }

    /// Writes one of the folder's files, and replaces whatever has its name.
    pub fn write(&self, file: &Path, text: &[u8]) -> Result<()> {
        let name = file.file_name().unwrap_or_default();
        let inside = Path::new("/proc/self/fd").join(self.opened.as_raw_fd().to_string()).join(name);
        own::replace(&inside, text).or_lab(|| format!("cannot write {}", file.display()))
    }
}

/// The folder of the latest run under `parent`.
pub fn newest(parent: &Path) -> Result<PathBuf> {
    let written = |folder: PathBuf| {
        let written = fs::metadata(folder.join(Artifacts::EVIDENCE)).and_then(|m| m.modified()).ok()?;
        Some((written, folder))
    };
    let runs = fs::read_dir(parent).into_iter().flatten().flatten().filter_map(|entry| written(entry.path()));
    let newest: Option<(SystemTime, PathBuf)> = runs.max();
    newest.map(|(_, folder)| folder).ok_or_else(|| {
        Error::usage(format!("no run under {}", parent.display()))
            .hint("`netlab exercise 2` makes one; --captures names another folder")
    })
}
