//! One student's sources, unpacked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    Bounds, Manifest,
    archive::{self, Which},
    class::{Part, Place},
    scratch::Scratch,
    walk::{self, Found},
};
use crate::{
    Error, Result,
    class::submission::extract::{Entry, Extractor},
    digest::{hex, sha256},
    error::Context,
    workspace::MANIFEST,
};

/// A student's sources in a folder of their own, which goes away with this.
#[derive(Debug)]
pub struct Sources {
    folder: Scratch,
    root: PathBuf,
    /// The manifest, from whoever packed them.
    pub manifest: Option<Manifest>,
    /// Files that were left out because they are too long.
    pub left_out: Vec<PathBuf>,
}

impl Sources {
    /// Extracts the sources from an archive, or copies them from files.
    pub(super) fn open(place: &Place) -> Result<Self> {
        let folder = Scratch::new()?;
        let bounds = Bounds::SUBMISSION;
        let mut extractor = Extractor::new(folder.path(), bounds);
        let mut left_out = Vec::new();
        let manifest = match place {
            Place::Archive(path) => {
                archive::unpack(path, &mut extractor, bounds.total_bytes, Which::Sources)?
            }
            Place::Files(parts) => {
                for part in parts {
                    left_out.extend(copy(part, &mut extractor)?);
                }
                None
            }
        };
        left_out.extend(extractor.missing().left_out);
        let root = workspace(folder.path())?;
        Ok(Self { folder, root, manifest, left_out })
    }

    /// Returns the folder of the workspace.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Returns a hash of all sources: their names, contents and permissions.
    pub fn hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for found in walk::sources(&self.root, Bounds::SUBMISSION)? {
            let bytes = found.read().or_lab(|| format!("cannot read {}", found.path.display()))?;
            hash.update(format!("{} {} {}\n", sha256(&bytes), found.executable, found.name.display()));
        }
        Ok(hex(&hash.finalize()))
    }

    /// Returns the files that differ from the manifest.
    pub fn differences(&self) -> Result<Vec<String>> {
        let Some(manifest) = &self.manifest else { return Ok(Vec::new()) };
        let mut different = Vec::new();
        for found in walk::sources(self.folder.path(), Bounds::SUBMISSION)? {
            let bytes = found.read().or_lab(|| format!("cannot read {}", found.path.display()))?;
            let name = found.name.to_string_lossy().into_owned();
            if manifest.files.get(&name) != Some(&sha256(&bytes)) {
                different.push(name);
            }
        }
        Ok(different)
    }
}

/// Copies a file, or the sources in a folder. Returns those that are too long.
fn copy(part: &Part, extractor: &mut Extractor<'_>) -> Result<Vec<PathBuf>> {
    let (found, left_out) = part.sources()?;
    for Found { name, path, executable } in &found {
        let content = &mut fs::File::open(path).or_usage(|| format!("cannot read {}", path.display()))?;
        extractor.file(Entry { name, executable: *executable, modified: None, content })?;
    }
    Ok(left_out)
}

/// Returns the folder of the `netlab.yaml`, whatever else there is. If there is none, returns the first folder that
/// holds more than a single folder: archives often wrap everything in one.
fn workspace(root: &Path) -> Result<PathBuf> {
    let found = walk::sources(root, Bounds::SUBMISSION)?;
    let depth = |name: &Path| name.components().count();
    let hidden = |name: &Path| name.components().any(|c| c.as_os_str().as_encoded_bytes().starts_with(b"."));
    let is_one = |name: &&Path| name.file_name() == Some(MANIFEST.as_ref()) && !hidden(name);
    let all: Vec<&Path> = found.iter().map(|found| found.name.as_path()).filter(is_one).collect();
    let shallowest = all.iter().map(|name| depth(name)).min();
    let mut first = all.iter().filter(|name| Some(depth(name)) == shallowest);
    match (first.next(), first.next()) {
        (None, _) => descend(root),
        (Some(only), None) => Ok(only.parent().map_or(root.to_owned(), |parent| root.join(parent))),
        (Some(one), Some(other)) => {
            let names = format!("{} and {}", one.display(), other.display());
            Err(Error::usage(format!(
                "there is more than one {MANIFEST}, and it is unclear which one counts: {names}"
            ))
            .hint("hand in one workspace"))
        }
    }
}

fn descend(root: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(root).or_lab(|| format!("cannot read {}", root.display()))?;
    let entries: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    match entries.as_slice() {
        [] => Err(Error::usage("there are no sources in it")),
        [only] if only.is_dir() => descend(only),
        _ => Ok(root.to_owned()),
    }
}
