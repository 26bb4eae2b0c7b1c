//! Where the content of an archive lands: in one folder, and nowhere outside it.
//!
//! Only plain files and folders are made; of two files with one name the later one counts, as tar has it. As no
//! link ever lands, no later name can lead out of the folder by way of one.

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

/// Folders in folders, at most.
const DEPTH: usize = 24;
/// A name's length in bytes, at most; what every file system can hold.
const NAME: usize = 255;

/// One plain file on its way.
pub struct Entry<'a> {
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
pub struct Extractor<'a> {
    root: &'a Path,
    bounds: Bounds,
    files: usize,
    bytes: u64,
    faults: Option<BTreeMap<PathBuf, String>>,
    left_out: Vec<PathBuf>,
}

/// What did not land.
#[derive(Debug, Default)]
pub struct Missing {
    /// In a class: what is wrong with whom, by the names in the root.
    pub faults: BTreeMap<PathBuf, String>,
    /// Files that were left out because they are too long.
    pub left_out: Vec<PathBuf>,
}

impl<'a> Extractor<'a> {
    /// `root` is an empty folder.
    pub fn new(root: &'a Path, bounds: Bounds) -> Self {
        Self { root, bounds, files: 0, bytes: 0, faults: None, left_out: Vec::new() }
    }

    /// For a class: `root` gets a folder or a file for each student, and what is wrong with one costs no
    /// other one anything.
    pub fn of_class(root: &'a Path) -> Self {
        Self::new(root, Bounds::CLASS).of_many()
    }

    /// What is wrong with one of those whose files land costs no other one anything.
    pub(crate) fn of_many(self) -> Self {
        Self { faults: Some(BTreeMap::new()), ..self }
    }

    /// What did not land.
    pub fn missing(self) -> Missing {
        Missing { faults: self.faults.unwrap_or_default(), left_out: self.left_out }
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
        // A disk that is full is nobody's fault, and the number and size of all nobody's alone.
        if error.kind == Kind::Lab || self.files > self.bounds.files || self.bytes >= self.bounds.total_bytes
        {
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
        fs::create_dir_all(self.root.join(&name)).map_err(|error| cannot(&name, error))
    }

    /// Makes a file, in place of an earlier one of that name. One that is too long is left out.
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
            // A part of a file is nobody's work; nor is the time when it came to be.
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
            // Also one of whom nothing else has landed is to be told of.
            let _ = owner(&name).map(|owner| fs::create_dir_all(self.root.join(owner)));
        } else if (self.left_out.len() as u64 + 1) * self.bounds.file_bytes > self.bounds.total_bytes {
            // Reading them costs time: no more of it than what lands may.
            let many = format!("more than {} files", self.left_out.len());
            return Err(Error::usage(format!("{many} are longer than {} KiB", self.bounds.file_bytes >> 10))
                .hint("a submission is sources, and no data"));
        }
        self.left_out.push(name);
        Ok(())
    }

    fn count(&mut self, name: &Path) -> Result<()> {
        self.files += 1;
        if self.files > self.bounds.files {
            let found = format!("more than {} files, as {}", self.bounds.files, name.display());
            return Err(Error::usage(found).hint("a submission is sources, and nothing that is made of them"));
        }
        Ok(())
    }

    fn too_much(&self, name: &Path) -> Error {
        let most = self.bounds.total_bytes >> 20;
        Error::usage(format!("with {} it is more than {most} MiB unpacked", name.display()))
    }
}

/// Gives the bytes written: one more than `most` if there are more than that.
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
            Error::usage(format!("{name} is, or is below, what is a file and a folder"))
        }
        // What is wrong with the disk is nobody's fault.
        _ => Err::<(), _>(error).or_file(|| format!("cannot unpack {name}")).unwrap_err(),
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
