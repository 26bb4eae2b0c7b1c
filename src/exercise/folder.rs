//! Where a run leaves its files.

use std::path::{Path, PathBuf};

use super::verdict::Artifacts;
use crate::{Error, Result, private};

/// Where a run leaves its files.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new folder under `parent`, named after the exercise and the time. What passed on a wire is for nobody but
    /// who looked at it.
    pub fn create(parent: &Path, exercise: &str) -> Result<Self> {
        let time = jiff::Zoned::now().strftime("%Y-%m-%dT%H-%M-%S").to_string();
        for n in 1.. {
            let tail = if n == 1 { String::new() } else { format!("-{n}") };
            let path = parent.join(format!("exercise-{exercise}-{time}{tail}"));
            match std::fs::create_dir_all(parent).and_then(|()| private::new_folder(&path)) {
                Ok(()) => return Ok(Self(path)),
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

    /// The folder's files.
    pub fn artifacts(&self) -> Artifacts {
        Artifacts {
            capture: self.0.join("capture.pcapng"),
            evidence: self.0.join("evidence.json"),
            report: self.0.join("report.html"),
        }
    }
}
