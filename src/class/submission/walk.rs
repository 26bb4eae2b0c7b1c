//! Finds the files of a folder that are somebody's own work: sources, and nothing built from them.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{Bounds, OWN};
use crate::{Error, Result, error::Context, own};

/// Folders with build products, or with netlab's own files.
const MADE: [&str; 7] = [OWN, ".git", "target", "captures", "__pycache__", "node_modules", "__MACOSX"];
/// Files that desktop systems leave beside people's own.
const LEFT_BESIDE: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];
/// Endings of files that were built or packed.
const MADE_FILES: [&str; 8] = [".o", ".a", ".so", ".pyc", ".tar.gz", ".tgz", ".tar", ".zip"];

/// A file of a folder.
#[derive(Debug)]
pub struct Found {
    /// Its path relative to the folder.
    pub name: PathBuf,
    /// Its full path.
    pub path: PathBuf,
    /// Whether it may be executed.
    pub executable: bool,
}

impl Found {
    /// Reads its content: no more than its maximum length, even if it has grown since it was found.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        own::read_anybodys(&self.path, Bounds::SUBMISSION.file_bytes)
    }
}

/// Returns the folder's sources by name. A link that leads out of the folder is an error, and so is more than
/// the bounds allow.
pub fn sources(folder: &Path, bounds: Bounds) -> Result<Vec<Found>> {
    let root = folder.canonicalize().or_usage(|| format!("cannot read {}", folder.display()))?;
    let walk = Walk { root: &root, bounds, bytes: 0, found: Vec::new(), left_out: None };
    walk.through().map(|(found, _)| found)
}

/// Like [`sources`], but leaves out files that are too long, and returns their names.
pub fn sources_that_fit(folder: &Path, bounds: Bounds) -> Result<(Vec<Found>, Vec<PathBuf>)> {
    let root = folder.canonicalize().or_usage(|| format!("cannot read {}", folder.display()))?;
    Walk { root: &root, bounds, bytes: 0, found: Vec::new(), left_out: Some(Vec::new()) }.through()
}

/// Like [`sources_that_fit`], for a single file, which may get another name.
pub fn file_that_fits(name: &Path, path: &Path, bounds: Bounds) -> Result<(Vec<Found>, Vec<PathBuf>)> {
    let mut walk = Walk { root: path, bounds, bytes: 0, found: Vec::new(), left_out: Some(Vec::new()) };
    if path.is_file() && is_source(name, &[]) {
        walk.file(name.to_owned(), path.to_owned())?;
    }
    Ok((walk.found, walk.left_out.unwrap_or_default()))
}

/// Returns whether a file with this name and these first bytes is a source.
pub fn is_source(name: &Path, first: &[u8]) -> bool {
    let folders = name.components().any(|part| is_made(part.as_os_str()));
    let text = name.to_string_lossy().to_lowercase();
    !folders && !MADE_FILES.iter().any(|end| text.ends_with(end)) && !first.starts_with(b"\x7fELF")
}

/// Returns whether nothing with this name is a source. macOS stores extra data about a file NAME in `._NAME`.
fn is_made(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"._") || MADE.iter().chain(&LEFT_BESIDE).any(|made| name == *made)
}

/// Returns the first bytes of a file, enough to recognise its kind.
pub fn first_bytes(from: impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    from.take(4).read_to_end(&mut first)?;
    Ok(first)
}

struct Walk<'a> {
    root: &'a Path,
    bounds: Bounds,
    bytes: u64,
    found: Vec<Found>,
    /// Files that are too long, if that is not an error.
    left_out: Option<Vec<PathBuf>>,
}

impl Walk<'_> {
    fn through(mut self) -> Result<(Vec<Found>, Vec<PathBuf>)> {
        self.folder(Path::new(""))?;
        self.found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((self.found, self.left_out.unwrap_or_default()))
    }

    fn folder(&mut self, name: &Path) -> Result<()> {
        let path = self.root.join(name);
        let what = || format!("cannot read {}", path.display());
        for entry in fs::read_dir(&path).or_usage(what)? {
            let entry = entry.or_usage(what)?;
            let (name, path) = (name.join(entry.file_name()), entry.path());
            let kind = entry.file_type().or_usage(what)?;
            if !is_source(&name, &[]) {
                continue;
            }
            if kind.is_dir() {
                self.folder(&name)?;
            } else if kind.is_symlink() {
                let path = self.link(&name, &path)?;
                self.file(name, path)?;
            } else if kind.is_file() {
                self.file(name, path)?;
            } else {
                return Err(Error::usage(format!("{} is not a regular file", name.display()))
                    .hint("a submission has files and folders only: remove it"));
            }
        }
        Ok(())
    }

    /// Returns the target of a link, which must be a file in the same folder.
    fn link(&self, name: &Path, path: &Path) -> Result<PathBuf> {
        let hint = "put the file itself in its place";
        let target = path.canonicalize().map_err(|e| {
            Error::usage(format!("the link {} leads nowhere", name.display())).caused_by(e).hint(hint)
        })?;
        let Ok(inner) = target.strip_prefix(self.root) else {
            return Err(Error::usage(format!("the link {} leads out of the folder", name.display()))
                .caused_by(format!("it leads to {}", target.display()))
                .hint(hint));
        };
        if !target.is_file() || !is_source(inner, &[]) {
            return Err(Error::usage(format!("the link {} does not lead to a source file", name.display()))
                .hint("a link may lead to a file in the same folder"));
        }
        Ok(target)
    }

    fn file(&mut self, name: PathBuf, path: PathBuf) -> Result<()> {
        let what = || format!("cannot read {}", path.display());
        let file = File::open(&path).or_usage(what)?;
        let about = file.metadata().or_usage(what)?;
        if !is_source(&name, &first_bytes(&file).or_usage(what)?) {
            return Ok(());
        }
        let Bounds { files, file_bytes, total_bytes } = self.bounds;
        let hint = "hand in sources, not data or what is built from the sources";
        if about.len() > file_bytes {
            if let Some(left_out) = &mut self.left_out {
                left_out.push(name);
                return Ok(());
            }
            let long = format!("{} has {} KiB", name.display(), about.len() >> 10);
            return Err(Error::usage(format!("{long}; the limit is {} KiB", file_bytes >> 10)).hint(hint));
        }
        self.bytes += about.len();
        if self.found.len() >= files || self.bytes > total_bytes {
            let most = format!("{files} files with {} MiB", total_bytes >> 20);
            return Err(Error::usage(format!("{} holds more than {most}", self.root.display())).hint(hint));
        }
        let executable = about.permissions().mode() & 0o111 != 0;
        self.found.push(Found { name, path, executable });
        Ok(())
    }
}
