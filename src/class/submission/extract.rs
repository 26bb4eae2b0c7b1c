//! Extracts the content of an archive into one folder, and nowhere outside it.
//!
//! Only regular files and folders are created; of two files with the same name the later one counts, as in tar. As
//! links are never extracted, no later name can lead out of the folder through one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use super::Bounds;
use crate::{Error, Kind, Result, error::FileContext, printable::visible};

/// Maximum depth of nested folders.
const DEPTH: usize = 24;
/// Maximum length of a name in bytes, which every file system supports.
const NAME: usize = 255;

/// A regular file to extract.
pub struct Entry<'a> {
    /// Its name in the archive.
    pub name: &'a Path,
    /// Whether it may be executed.
    pub executable: bool,
    /// When it was last changed, if that is worth keeping.
    pub modified: Option<SystemTime>,
    /// Its content.
    pub content: &'a mut dyn Read,
}

/// A folder that files are extracted to.
pub struct Extractor<'a> {
    root: &'a Path,
    bounds: Bounds,
    files: usize,
    bytes: u64,
    faults: Option<BTreeMap<PathBuf, String>>,
    left_out: Vec<PathBuf>,
}

/// What was not extracted.
#[derive(Debug, Default)]
pub struct Missing {
    /// In a class: what is wrong with a submission, by its name in the root.
    pub faults: BTreeMap<PathBuf, String>,
    /// Files that were left out because they are too long.
    pub left_out: Vec<PathBuf>,
}

impl<'a> Extractor<'a> {
    /// Extracts to `root`, an empty folder.
    pub fn new(root: &'a Path, bounds: Bounds) -> Self {
        Self { root, bounds, files: 0, bytes: 0, faults: None, left_out: Vec::new() }
    }

    /// Extracts a class: `root` gets a folder or a file for each student, and a fault in one submission does
    /// not affect the others.
    pub fn of_class(root: &'a Path) -> Self {
        Self::new(root, Bounds::CLASS).of_many()
    }

    /// Keeps a fault in one submission from affecting the others.
    pub(crate) fn of_many(self) -> Self {
        Self { faults: Some(BTreeMap::new()), ..self }
    }

    /// Returns what was not extracted.
    pub fn missing(self) -> Missing {
        Missing { faults: self.faults.unwrap_or_default(), left_out: self.left_out }
    }

    /// Returns whether nothing more is extracted for the student to whom this file belongs.
    pub fn refuses(&self, name: &Path) -> bool {
        self.faults.as_ref().zip(owner(name)).is_some_and(|(faults, owner)| faults.contains_key(owner))
    }

    /// Decides whether to go on after a file was extracted or failed to be.
    pub fn settle(&mut self, name: &Path, landed: Result<()>) -> Result<()> {
        let (Err(error), Some(faults), Some(owner)) = (&landed, &mut self.faults, owner(name)) else {
            return landed;
        };
        // A full disk is not the student's fault; nor are the number and size of all files together.
        if error.kind == Kind::Lab || self.files > self.bounds.files || self.bytes >= self.bounds.total_bytes
        {
            return landed;
        }
        faults.insert(owner.to_owned(), error.to_string());
        // A student of whom nothing was extracted must show up, too.
        let _ = fs::create_dir_all(self.root.join(owner));
        Ok(())
    }

    /// Creates a folder, with those above it.
    pub fn folder(&mut self, name: &Path) -> Result<()> {
        let name = inside(name)?;
        self.count(&name)?;
        fs::create_dir_all(self.root.join(&name)).map_err(|error| cannot(&name, error))
    }

    /// Creates a file, replacing an earlier one with the same name. A file that is too long is left out.
    pub fn file(&mut self, mut arrival: Entry<'_>) -> Result<()> {
        let name = inside(arrival.name)?;
        self.count(&name)?;
        let path = self.root.join(&name);
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| cannot(&name, error))?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(&name, error)),
            _ => {}
        }
        let left = self.bounds.file_bytes.min(self.bounds.total_bytes - self.bytes);
        let written = write(&path, &mut arrival, left);
        if !written.as_ref().is_ok_and(|written| *written <= left) {
            // A part of a file is not the student's work, and its time would be misleading.
            let _ = fs::remove_file(&path);
        }
        match written.map_err(|error| cannot(&name, error))? {
            written if written <= left => self.bytes += written,
            _ if left == self.bounds.file_bytes => self.leave_out(name)?,
            _ => return Err(self.too_much(&name)),
        }
        Ok(())
    }

    fn leave_out(&mut self, name: PathBuf) -> Result<()> {
        if self.faults.is_some() {
            // A student of whom nothing else was extracted must show up, too.
            let _ = owner(&name).map(|owner| fs::create_dir_all(self.root.join(owner)));
        } else if (self.left_out.len() as u64 + 1) * self.bounds.file_bytes > self.bounds.total_bytes {
            // Reading them takes time: no more of it than what may be extracted.
            let many = format!("more than {} files", self.left_out.len());
            return Err(Error::usage(format!("{many} are longer than {} KiB", self.bounds.file_bytes >> 10))
                .hint("hand in sources, not data"));
        }
        self.left_out.push(name);
        Ok(())
    }

    fn count(&mut self, name: &Path) -> Result<()> {
        self.files += 1;
        if self.files > self.bounds.files {
            let found = format!("more than {} files, e.g. {}", self.bounds.files, name.display());
            return Err(Error::usage(found).hint("hand in sources, not what is built from them"));
        }
        Ok(())
    }

    fn too_much(&self, name: &Path) -> Error {
        let most = self.bounds.total_bytes >> 20;
        Error::usage(format!("with {} it is more than {most} MiB unpacked", name.display()))
    }
}

/// Writes a file. Returns the number of bytes written: one more than `most` if there are more than that.
fn write(path: &Path, arrival: &mut Entry<'_>, most: u64) -> io::Result<u64> {
    let mut file = File::create_new(path)?;
    let written = io::copy(&mut (&mut *arrival.content).take(most + 1), &mut file)?;
    let mode = if arrival.executable { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if let Some(time) = arrival.modified {
        file.set_modified(time)?;
    }
    file.flush().map(|()| written)
}

fn cannot(name: &Path, error: io::Error) -> Error {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
    let name = visible(&name.to_string_lossy());
    match error.kind() {
        AlreadyExists | IsADirectory | NotADirectory => {
            Error::usage(format!("{name} is, or is in, something that is both a file and a folder"))
        }
        // A fault of the disk is not the student's.
        _ => Err::<(), _>(error).or_file(|| format!("cannot unpack {name}")).unwrap_err(),
    }
}

/// Returns the first part of a name: in a class, the one that a student's files have in common.
fn owner(name: &Path) -> Option<&Path> {
    let mut parts = name.components().filter(|part| *part != Component::CurDir);
    match parts.next()? {
        Component::Normal(first) if first.len() <= NAME => Some(Path::new(first)),
        _ => None,
    }
}

/// Checks a name, and returns it as a path that stays inside its folder.
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

    fn land(extractor: &mut Extractor<'_>, name: &str, content: &[u8]) -> Result<(), String> {
        let mut content = content;
        let arrival =
            Entry { name: Path::new(name), executable: false, modified: None, content: &mut content };
        extractor.file(arrival).map_err(|e| e.to_string())
    }

    #[test]
    fn a_full_disk_is_no_students_fault() {
        let folder = tempfile::tempdir().unwrap();
        let mut extractor = Extractor::of_class(folder.path());
        let name = Path::new("ana/a.c");
        let full = cannot(name, io::ErrorKind::StorageFull.into());
        assert_eq!(full.kind, Kind::Lab);
        assert!(extractor.settle(name, Err(full)).is_err() && !extractor.refuses(name));
        let wrong = cannot(name, io::ErrorKind::NotADirectory.into());
        assert_eq!(wrong.kind, Kind::Usage);
        assert!(extractor.settle(name, Err(wrong)).is_ok() && extractor.refuses(name));
    }

    #[test]
    fn no_name_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut extractor = Extractor::new(folder.path(), Bounds::SUBMISSION);
        for (name, why) in [
            ("../x", "leads out"),
            ("a/../../x", "leads out"),
            ("/etc/x", "absolute"),
            ("a\0b", "zero byte"),
            (&"a/".repeat(30), "too deep"),
        ] {
            let error = land(&mut extractor, name, b"").unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        land(&mut extractor, "./a/b", b"x").unwrap();
        assert_eq!(fs::read(folder.path().join("a/b")).unwrap(), b"x");
        land(&mut extractor, "a/b", b"y").unwrap();
        assert_eq!(fs::read(folder.path().join("a/b")).unwrap(), b"y", "the later one counts");
        for name in ["a", "a/b/c"] {
            let error = land(&mut extractor, name, b"z").unwrap_err();
            assert!(error.contains("a file and a folder"), "{name}: {error}");
        }
    }

    #[test]
    fn number_and_size_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut extractor = Extractor::new(folder.path(), SMALL);
        land(&mut extractor, "a", b"1234").unwrap();
        assert!(land(&mut extractor, "b", b"123").unwrap_err().contains("more than"));
        land(&mut extractor, "c", b"12").unwrap();
        assert!(land(&mut extractor, "d", b"").unwrap_err().contains("more than 3 files"));
    }

    #[test]
    fn what_is_too_long_is_left_out_and_not_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut extractor = Extractor::new(folder.path(), SMALL);
        land(&mut extractor, "e", b"12345").unwrap();
        assert!(!folder.path().join("e").exists());
        land(&mut extractor, "a", b"1").unwrap();
        assert!(land(&mut extractor, "f", b"12345").unwrap_err().contains("are longer than"));
        assert_eq!(extractor.missing().left_out, [Path::new("e")]);
    }
}
