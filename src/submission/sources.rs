//! One student's sources, unpacked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{
    Bounds, Manifest,
    archive::{self, Which},
    class::Place,
    landing::{Arrival, Landing},
    walk,
};
use crate::{
    Error, Result,
    digest::{hex, sha256},
    error::Context,
};

/// A student's sources in a folder of their own, which goes away with this.
#[derive(Debug)]
pub struct Sources {
    folder: TempDir,
    root: PathBuf,
    /// What whoever packed them says of them.
    pub manifest: Option<Manifest>,
}

impl Sources {
    /// Takes the sources out of an archive, or a copy of a folder's.
    pub(super) fn open(place: &Place) -> Result<Self> {
        let folder = tempfile::tempdir().or_lab(|| "cannot make a folder to unpack into")?;
        let bounds = Bounds::SUBMISSION;
        let mut landing = Landing::new(folder.path(), bounds);
        let manifest = match place {
            Place::Archive(path) => archive::unpack(path, &mut landing, bounds.total_bytes, Which::Sources)?,
            Place::Folder(path) => {
                for found in walk::sources(path, bounds)? {
                    let what = || format!("cannot read {}", found.path.display());
                    let content = &mut fs::File::open(&found.path).or_usage(what)?;
                    let (name, executable) = (found.name.as_path(), found.executable);
                    landing.file(Arrival { name, executable, modified: None, content })?;
                }
                None
            }
        };
        let root = descend(folder.path())?;
        Ok(Self { folder, root, manifest })
    }

    /// The workspace.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A hash of all of it: the same for the same files with the same names and rights.
    pub fn hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for found in walk::sources(&self.root, Bounds::SUBMISSION)? {
            let bytes = fs::read(&found.path).or_lab(|| format!("cannot read {}", found.path.display()))?;
            hash.update(format!("{} {} {}\n", sha256(&bytes), found.executable, found.name.display()));
        }
        Ok(hex(&hash.finalize()))
    }

    /// The files that are not as the manifest has them.
    pub fn differences(&self) -> Result<Vec<String>> {
        let Some(manifest) = &self.manifest else { return Ok(Vec::new()) };
        let mut different = Vec::new();
        for found in walk::sources(self.folder.path(), Bounds::SUBMISSION)? {
            let bytes = fs::read(&found.path).or_lab(|| format!("cannot read {}", found.path.display()))?;
            let name = found.name.to_string_lossy().into_owned();
            if manifest.files.get(&name) != Some(&sha256(&bytes)) {
                different.push(name);
            }
        }
        Ok(different)
    }
}

/// The folder that holds more than one folder alone: archives often wrap everything in one.
fn descend(root: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(root).or_lab(|| format!("cannot read {}", root.display()))?;
    let entries: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    match entries.as_slice() {
        [] => Err(Error::usage("there are no sources in it")),
        [only] if only.is_dir() => descend(only),
        _ => Ok(root.to_owned()),
    }
}
