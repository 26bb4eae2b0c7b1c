//! Where the content of an archive lands: in one folder, and nowhere outside it.
//!
//! Only plain files and folders are made, and only under names that nothing has yet. As no link ever
//! lands, no later name can lead out of the folder by way of one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use super::Bounds;
use crate::{Error, Result, error::Context, printable::visible};

/// Folders in folders, at most.
const DEPTH: usize = 24;
/// A name's length in bytes, at most; what every file system can hold.
const NAME: usize = 255;

/// One plain file on its way.
pub struct Arrival<'a> {
    /// Its name in the archive.
    pub name: &'a Path,
    /// Whether it may be executed.
    pub executable: bool,
    /// When it was last changed, where that is worth keeping.
    pub modified: Option<SystemTime>,
    /// What is in it.
    pub content: &'a mut dyn Read,
}

/// A folder that files land in.
pub struct Landing<'a> {
    root: &'a Path,
    bounds: Bounds,
    files: usize,
    bytes: u64,
    faults: Option<BTreeMap<PathBuf, String>>,
}

impl<'a> Landing<'a> {
    /// `root` is an empty folder.
    pub fn new(root: &'a Path, bounds: Bounds) -> Self {
        Self { root, bounds, files: 0, bytes: 0, faults: None }
    }

    /// For a class: `root` gets a folder or a file for each student, and what is wrong with one costs no
    /// other one anything.
    pub fn of_class(root: &'a Path) -> Self {
        Self { faults: Some(BTreeMap::new()), ..Self::new(root, Bounds::CLASS) }
    }

    /// What is wrong, by the names in `root`.
    pub fn faults(self) -> BTreeMap<PathBuf, String> {
        self.faults.unwrap_or_default()
    }

    /// Whether nothing more is taken of the student that this is of.
    pub fn refuses(&self, name: &Path) -> bool {
        self.faults.as_ref().zip(owner(name)).is_some_and(|(faults, owner)| faults.contains_key(owner))
    }

    /// Whether to go on after something has landed or could not.
    pub fn settle(&mut self, name: &Path, landed: Result<()>) -> Result<()> {
        let (Err(error), Some(faults), Some(owner)) = (&landed, &mut self.faults, owner(name)) else {
            return landed;
        };
        // The number and size of all is nobody's alone.
        if self.files > self.bounds.files || self.bytes >= self.bounds.total_bytes {
            return landed;
        }
        faults.insert(owner.to_owned(), error.to_string());
        // Also one of whom nothing has landed is to be told of.
        let _ = fs::create_dir_all(self.root.join(owner));
        Ok(())
    }

    /// Makes a folder, with those above it.
    pub fn folder(&mut self, name: &Path) -> Result<()> {
        let name = inside(name)?;
        self.count(&name)?;
        fs::create_dir_all(self.root.join(&name)).or_usage(|| format!("cannot unpack {}", name.display()))
    }

    /// Makes a file.
    pub fn file(&mut self, arrival: Arrival<'_>) -> Result<()> {
        let Arrival { name, executable, modified, content } = arrival;
        let name = inside(name)?;
        self.count(&name)?;
        let what = || format!("cannot unpack {}", name.display());
        let path = self.root.join(&name);
        path.parent().map_or(Ok(()), fs::create_dir_all).or_usage(what)?;
        let mut file = File::create_new(&path).or_usage(what)?;
        let left = self.bounds.file_bytes.min(self.bounds.total_bytes - self.bytes);
        // One byte more than allowed tells a file that is too long from one that just fits.
        let written = io::copy(&mut content.take(left + 1), &mut file).or_usage(what)?;
        if written > left {
            return Err(self.too_much(&name, left));
        }
        self.bytes += written;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).or_usage(what)?;
        if let Some(time) = modified {
            file.set_modified(time).or_usage(what)?;
        }
        file.flush().or_usage(what)
    }

    fn count(&mut self, name: &Path) -> Result<()> {
        self.files += 1;
        if self.files > self.bounds.files {
            let found = format!("more than {} files, as {}", self.bounds.files, name.display());
            return Err(Error::usage(found).hint("a submission is sources, and nothing that is made of them"));
        }
        Ok(())
    }

    fn too_much(&self, name: &Path, left: u64) -> Error {
        let Bounds { file_bytes, total_bytes, .. } = self.bounds;
        Error::usage(if left == file_bytes {
            format!("{} is longer than {} KiB", name.display(), file_bytes >> 10)
        } else {
            format!("with {} it is more than {} MiB unpacked", name.display(), total_bytes >> 20)
        })
    }
}

/// In a class: the name that a student's files have in common, if it is one.
fn owner(name: &Path) -> Option<&Path> {
    let mut parts = name.components().filter(|part| *part != Component::CurDir);
    match parts.next()? {
        Component::Normal(first) if first.len() <= NAME => Some(Path::new(first)),
        _ => None,
    }
}

/// The name as a path that stays below where it starts.
fn inside(name: &Path) -> Result<PathBuf> {
    let wrong = |why: &str| Error::usage(format!("the name \"{}\" {why}", visible(&name.to_string_lossy())));
    let mut path = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) if part.len() <= NAME => path.push(part),
            Component::Normal(_) => return Err(wrong("is too long")),
            Component::CurDir => {}
            Component::ParentDir => return Err(wrong("leads out of its folder")),
            Component::RootDir | Component::Prefix(_) => return Err(wrong("is an absolute path")),
        }
    }
    if path.components().count() > DEPTH {
        return Err(wrong("is too deep"));
    }
    if name.to_string_lossy().contains('\0') {
        return Err(wrong("has a zero byte in it"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bounds = Bounds { files: 3, file_bytes: 4, total_bytes: 6 };

    fn land(landing: &mut Landing<'_>, name: &str, content: &[u8]) -> Result<(), String> {
        let mut content = content;
        let arrival =
            Arrival { name: Path::new(name), executable: false, modified: None, content: &mut content };
        landing.file(arrival).map_err(|e| e.to_string())
    }

    #[test]
    fn no_name_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut landing = Landing::new(folder.path(), Bounds::SUBMISSION);
        for (name, why) in [
            ("../x", "leads out"),
            ("a/../../x", "leads out"),
            ("/etc/x", "absolute"),
            ("a\0b", "zero byte"),
            (&"a/".repeat(30), "too deep"),
        ] {
            let error = land(&mut landing, name, b"").unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        land(&mut landing, "./a/b", b"x").unwrap();
        assert_eq!(fs::read(folder.path().join("a/b")).unwrap(), b"x");
        assert!(land(&mut landing, "a/b", b"y").is_err(), "a name that is taken");
    }

    #[test]
    fn number_and_size_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut landing = Landing::new(folder.path(), SMALL);
        land(&mut landing, "a", b"1234").unwrap();
        assert!(land(&mut landing, "b", b"123").unwrap_err().contains("more than"));
        land(&mut landing, "c", b"12").unwrap();
        assert!(land(&mut landing, "d", b"").unwrap_err().contains("more than 3 files"));
        let mut landing = Landing::new(folder.path(), SMALL);
        assert!(land(&mut landing, "e", b"12345").unwrap_err().contains("longer than"));
    }
}
