//! A class: the submissions in a folder, or in the zip of a learning platform.
//!
//! Moodle names what a student hands in `Surname Name_12345_assignsubmission_file_`, as a folder or as the
//! beginning of a file's name.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{
    Bounds, Sources,
    archive::{self, Which},
    landing::Landing,
    walk,
};
use crate::{Error, Result, error::Context, workspace::MANIFEST};

/// Between the number of a submission and the file's own name.
const MOODLE: &str = "_assignsubmission_";

/// The file that marks a folder of grades, which is nobody's submission.
pub const GRADES: &str = ".netlab-grades";

/// Everything that was handed in.
#[derive(Debug)]
pub struct Class {
    /// By the students' names.
    pub submissions: Vec<Submission>,
    /// Names in the folder that are nobody's submission.
    pub skipped: Vec<String>,
    _unpacked: Option<TempDir>,
}

/// What one student has handed in.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose it is.
    pub student: String,
    /// The learning platform's number of it.
    pub number: Option<String>,
    /// A name for files, no other submission of the class has it.
    pub key: String,
    /// When it arrived: the time of the file, as the platform or the file system has it.
    pub received: Option<Timestamp>,
    place: Result<Place, String>,
}

/// Where a submission is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Archive(PathBuf),
    Folder(PathBuf),
}

impl Class {
    /// Reads what is in a folder, or in a zip of such a folder.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Self::read(path, &BTreeMap::new());
        }
        if !archive::is_archive(path) {
            return Err(Error::usage(format!("{} is no folder and no archive", path.display()))
                .hint("name a folder of submissions, or the zip that the learning platform gives"));
        }
        let unpacked = tempfile::tempdir().or_lab(|| "cannot make a folder to unpack into")?;
        let mut landing = Landing::of_class(unpacked.path());
        archive::unpack(path, &mut landing, Bounds::CLASS.total_bytes, Which::All)?;
        let faults = landing.faults();
        let class = Self::read(unpacked.path(), &faults)?;
        Ok(Self { _unpacked: Some(unpacked), ..class })
    }

    /// `faults` says what is wrong with some, by their names in the folder.
    fn read(folder: &Path, faults: &BTreeMap<PathBuf, String>) -> Result<Self> {
        let what = || format!("cannot read {}", folder.display());
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).or_usage(what)?.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut class = Self { submissions: Vec::new(), skipped: Vec::new(), _unpacked: None };
        let mut keys = BTreeMap::new();
        for path in &paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(mut submission) = Submission::at(path, &name, &mut keys) else {
                class.skipped.push(name.replace(char::is_control, "\u{fffd}"));
                continue;
            };
            if let Some(why) = faults.get(Path::new(path.file_name().unwrap_or_default())) {
                submission.place = Err(why.clone());
            }
            class.submissions.push(submission);
        }
        if class.submissions.is_empty() {
            return Err(Error::usage(format!("no submission in {}", folder.display()))
                .hint("a submission is an archive (.tar.gz, .tar, .zip) or a folder"));
        }
        Ok(class)
    }
}

impl Submission {
    /// What is at that path, if it is a submission.
    fn at(path: &Path, name: &str, keys: &mut BTreeMap<String, usize>) -> Option<Self> {
        if name.starts_with('.') || name == "__MACOSX" || path.join(GRADES).exists() {
            return None;
        }
        let folder = path.is_dir();
        let stem = if folder { name } else { archive::stem(path)? };
        let (student, number) = student(stem);
        let place = if folder { place(path) } else { Ok(Place::Archive(path.to_owned())) };
        let received = match &place {
            Ok(Place::Archive(path)) => changed(path),
            _ => newest(path).or_else(|| changed(path)),
        };
        let received = received.and_then(|time| Timestamp::try_from(time).ok());
        let key = unique(slug(&student), keys);
        Some(Self { student, number, key, received, place })
    }

    /// Its sources. An error is the student's: what was handed in cannot be taken, and why.
    pub fn open(&self) -> Result<Sources> {
        match &self.place {
            Ok(place) => Sources::open(place),
            Err(why) => Err(Error::usage(why)),
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// When the last of a folder's files was changed. The folder itself may just have been unpacked.
fn newest(folder: &Path) -> Option<SystemTime> {
    let files = walk::sources(folder, Bounds::SUBMISSION).ok()?;
    files.iter().filter_map(|file| changed(&file.path)).max()
}

/// In a student's folder: the one archive, or else the folder itself.
fn place(folder: &Path) -> Result<Place, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("cannot read {}: {e}", folder.display()))?;
    let files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    let archives: Vec<&PathBuf> = files.iter().filter(|f| f.is_file() && archive::is_archive(f)).collect();
    match archives.as_slice() {
        [one] if !folder.join(MANIFEST).exists() => Ok(Place::Archive((*one).clone())),
        [_, _, ..] if archives.len() == files.len() => {
            Err(format!("{} archives, and no telling which one counts", archives.len()))
        }
        _ => Ok(Place::Folder(folder.to_owned())),
    }
}

/// The student's name, and the platform's number.
fn student(stem: &str) -> (String, Option<String>) {
    // A name goes to terminals, too.
    let stem = &stem.replace(char::is_control, "\u{fffd}");
    let platform = stem.split_once(MOODLE).and_then(|(before, _)| before.rsplit_once('_'));
    match platform {
        Some((name, number)) if number.chars().all(|c| c.is_ascii_digit()) => {
            (name.trim().to_owned(), Some(number.to_owned()))
        }
        _ => (stem.clone(), None),
    }
}

/// A name that any file system, page address and lab can have.
fn slug(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let slug: String = words.join("-").chars().take(60).collect();
    if slug.is_empty() { "submission".into() } else { slug }
}

fn unique(slug: String, keys: &mut BTreeMap<String, usize>) -> String {
    let count = keys.entry(slug.clone()).or_default();
    *count += 1;
    match *count {
        1 => slug,
        n => unique(format!("{slug}-{n}"), keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moodle_names_are_understood() {
        for (stem, name, number) in [
            ("Pérez Gil Ana_12345_assignsubmission_file_", "Pérez Gil Ana", Some("12345")),
            ("Li Wei_7_assignsubmission_file_ws", "Li Wei", Some("7")),
            ("ana_12345", "ana_12345", None),
        ] {
            assert_eq!(student(stem), (name.to_owned(), number.map(str::to_owned)));
        }
    }

    #[test]
    fn keys_are_plain_and_no_two_alike() {
        let mut keys = BTreeMap::new();
        assert_eq!(unique(slug("Ana  Gil/.."), &mut keys), "ana-gil");
        assert_eq!(unique(slug("ana gil"), &mut keys), "ana-gil-2");
        assert_eq!(unique(slug("../"), &mut keys), "submission");
    }
}
