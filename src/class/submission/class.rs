//! A class: the submissions in a folder, or in the zip of a learning platform.
//!
//! Moodle names what a student hands in `Surname Name_12345_assignsubmission_file_`, as a folder or at the
//! start of each file's name. Everything with the same number is one submission.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::Timestamp;

use super::{
    Bounds, Sources,
    archive::{self, Which},
    scratch::{self, Scratch},
    walk::{self, Found},
};
use crate::{
    Error, Result,
    class::submission::extract::{Extractor, Missing},
    error::Context,
    printable::visible,
    workspace::MANIFEST,
};

/// What stands between the number of a submission and the file's own name.
const MOODLE: &str = "_assignsubmission_";

/// The file that marks a folder of grades, which is not a submission.
pub const GRADES: &str = ".netlab-grades";

/// The submissions of a class.
#[derive(Debug)]
pub struct Class {
    /// In the order of the students' names.
    pub submissions: Vec<Submission>,
    /// Names in the folder that are not submissions.
    pub skipped: Vec<String>,
    _unpacked: Option<Scratch>,
}

/// What one student has handed in.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The student's name.
    pub student: String,
    /// Its number on the learning platform.
    pub number: Option<String>,
    /// A file name that is unique in the class.
    pub key: String,
    /// When it arrived: the time of the file, from the platform or the file system.
    pub received: Option<Timestamp>,
    /// Files that were left out because they are too long for a class.
    pub left_out: Vec<PathBuf>,
    place: Result<Place, String>,
}

/// The files of a submission.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Archive(PathBuf),
    Files(Vec<Part>),
}

/// A file or a folder of a submission.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Its name in the submission; empty for a folder that is the submission.
    name: PathBuf,
    path: PathBuf,
}

impl Class {
    /// Reads a folder of submissions, or a zip of one. The folder of the grades may be in it and is skipped.
    pub fn open(path: &Path, grades: &Path) -> Result<Self> {
        scratch::sweep();
        if path.is_dir() {
            return Self::read(path, None, Some(grades));
        }
        if !archive::is_archive(path) {
            return Err(Error::usage(format!("{} is neither a folder nor an archive", path.display()))
                .hint("name a folder of submissions, or the zip from the learning platform"));
        }
        let unpacked = Scratch::new()?;
        let mut extractor = Extractor::of_class(unpacked.path());
        archive::unpack(path, &mut extractor, Bounds::CLASS.total_bytes, Which::All)?;
        let missing = extractor.missing();
        let class = Self::read(unpacked.path(), Some(&missing), None)?;
        Ok(Self { _unpacked: Some(unpacked), ..class })
    }

    /// Reads a folder of submissions. `missing` says what was not extracted, if the class was unpacked just now;
    /// `grades` is the folder of the grades.
    fn read(folder: &Path, missing: Option<&Missing>, grades: Option<&Path>) -> Result<Self> {
        let what = || format!("cannot read {}", folder.display());
        let root = folder.canonicalize().or_usage(what)?;
        let grades = grades.and_then(|grades| grades.canonicalize().ok());
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).or_usage(what)?.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut skipped = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let are_grades = grades.is_some() && path.canonicalize().ok() == grades;
            let Some(mut group) = Group::of(&name, &path).filter(|_| !are_grades) else {
                skipped.push(visible(&name));
                continue;
            };
            group.fault = fault(&root, &path);
            group.miss(Path::new(&name), missing);
            match groups.iter_mut().find(|other| group.number.is_some() && other.number == group.number) {
                Some(other) => other.take_in(group),
                None => groups.push(group),
            }
        }
        if groups.is_empty() {
            return Err(Error::usage(format!("no submissions in {}", folder.display()))
                .hint("a submission is an archive (.tar.gz, .tar, .zip) or a folder"));
        }
        let mut keys = BTreeMap::new();
        let unpacked = missing.is_some();
        let submissions = groups.into_iter().map(|group| group.submission(unpacked, &mut keys)).collect();
        Ok(Self { submissions, skipped, _unpacked: None })
    }
}

impl Submission {
    /// Opens its sources. An error says why what the student handed in cannot be used.
    pub fn open(&self) -> Result<Sources> {
        match &self.place {
            Ok(place) => Sources::open(place),
            Err(why) => Err(Error::usage(why)),
        }
    }
}

/// Everything that belongs to one student.
struct Group {
    student: String,
    number: Option<String>,
    parts: Vec<Part>,
    fault: Option<String>,
    left_out: Vec<PathBuf>,
}

impl Group {
    /// Returns the submission, or part of one, at this path; `None` if it is something else.
    fn of(name: &str, path: &Path) -> Option<Self> {
        if is_hidden(name) {
            return None;
        }
        let folder = path.is_dir();
        let platform = on_platform(name);
        let (student, number, own) = match &platform {
            Some((student, number, own)) => (*student, Some((*number).to_owned()), *own),
            None if folder => (name, None, Some("")),
            None => {
                let unread = || archive::unread(name).map(|(stem, _)| stem);
                (archive::stem(Path::new(name)).or_else(unread)?, None, Some(name))
            }
        };
        // Text that a student typed on the platform is not a file.
        let own = own.map(|own| {
            if folder {
                ""
            } else if own.is_empty() {
                name
            } else {
                own
            }
        });
        let parts = own.into_iter().map(|own| Part { name: own.into(), path: path.to_owned() }).collect();
        // Names are shown on terminals, pages and in tables, so they must not contain controls.
        let student = visible(student);
        Some(Self { student, number, parts, fault: None, left_out: Vec::new() })
    }

    /// Notes what is missing of this entry of the class.
    fn miss(&mut self, entry: &Path, missing: Option<&Missing>) {
        let Some(missing) = missing else { return };
        self.fault = missing.faults.get(entry).cloned().or(self.fault.take());
        self.left_out = missing.left_out.iter().filter(|name| name.starts_with(entry)).cloned().collect();
    }

    fn take_in(&mut self, other: Self) {
        self.parts.extend(other.parts);
        self.left_out.extend(other.left_out);
        self.fault = self.fault.take().or(other.fault);
    }

    /// Makes the submission. If `unpacked`, the folders were created just now, and their times mean nothing.
    fn submission(self, unpacked: bool, keys: &mut BTreeMap<String, usize>) -> Submission {
        let Self { student, number, parts, fault, left_out } = self;
        let found = place(&parts);
        let received = match &found {
            Ok(Place::Archive(path)) => changed(path),
            _ => newest(&parts).or_else(|| {
                parts
                    .iter()
                    .filter(|part| !unpacked || part.path.is_file())
                    .filter_map(|p| changed(&p.path))
                    .max()
            }),
        };
        let received = received.and_then(|time| Timestamp::try_from(time).ok());
        let place = fault.map_or(found, Err);
        let key = unique(slug(&student), keys);
        Submission { student, number, key, received, left_out, place }
    }
}

impl Part {
    /// Returns the sources in it by their names in the submission, and the files that are too long.
    pub(super) fn sources(&self) -> Result<(Vec<Found>, Vec<PathBuf>)> {
        if !self.path.is_dir() {
            return walk::file_that_fits(&self.name, &self.path, Bounds::SUBMISSION);
        }
        walk::sources_that_fit(&self.path, Bounds::SUBMISSION)
    }

    /// Returns the name of an archive in the folder that is a link out of it. Sources that are such links are reported
    /// when they are opened.
    fn link_out(&self) -> Option<String> {
        let root = self.path.canonicalize().ok().filter(|root| root.is_dir())?;
        let is_archive = |name: &str| archive::is_archive(Path::new(name)) || archive::unread(name).is_some();
        let mut names = fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let out =
            names.find(|name| is_archive(&name.to_string_lossy()) && leads_out(&root, &root.join(name)))?;
        Some(visible(&out.to_string_lossy()))
    }

    /// Returns the files directly in it, with their names.
    fn files(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let below = entries.map(|entry| (entry.file_name().into(), entry.path()));
        let all = below.chain([(self.name.clone(), self.path.clone())]);
        all.map(|(name, path): (PathBuf, _)| (name.to_string_lossy().into_owned(), path))
            .filter(|(name, path)| !is_hidden(name) && path.is_file())
            .collect()
    }
}

/// Returns what is wrong with an entry of the class folder `root`, whatever its contents.
fn fault(root: &Path, path: &Path) -> Option<String> {
    let name = || visible(&path.file_name().unwrap_or_default().to_string_lossy());
    if leads_out(root, path) {
        return Some(format!(
            "the link {} leads out of the class's folder: put the file itself in its place",
            name()
        ));
    }
    // Even as a link: the submission would be skipped without anybody noticing.
    path.join(GRADES).symlink_metadata().ok().map(|_| {
        format!(
            "it contains {GRADES} like a folder of grades: remove that file if {} is a submission",
            name()
        )
    })
}

/// Returns whether the path leads, by a link, to something outside the folder or to nothing.
fn leads_out(root: &Path, path: &Path) -> bool {
    path.canonicalize().map_or(true, |target| !target.starts_with(root))
}

/// Returns whether it is one of the files that systems keep beside people's own.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// Returns the newest modification time of its sources, or else of its files.
fn newest(parts: &[Part]) -> Option<SystemTime> {
    let sources = parts.iter().filter_map(|part| part.sources().ok()).flat_map(|(found, _)| found);
    let files = parts.iter().flat_map(Part::files);
    let last = sources.filter_map(|found| changed(&found.path)).max();
    last.or_else(|| files.filter_map(|(_, path)| changed(&path)).max())
}

/// Finds the submission: the workspace itself, or else the only archive.
fn place(parts: &[Part]) -> Result<Place, String> {
    if parts.is_empty() {
        return Err("only text was handed in, no file".into());
    }
    let is_manifest = |found: &Found| found.name.file_name() == Some(MANIFEST.as_ref());
    // A part that cannot be read is reported when it is opened.
    let has_manifest = |part: &Part| part.sources().map_or(true, |(found, _)| found.iter().any(is_manifest));
    if parts.iter().any(has_manifest) {
        return Ok(Place::Files(parts.to_vec()));
    }
    let files: Vec<(String, PathBuf)> = parts.iter().flat_map(Part::files).collect();
    if let Some(name) = parts.iter().find_map(Part::link_out) {
        return Err(format!("the link {name} leads out of the folder: put the file itself in its place"));
    }
    let archives: Vec<_> = files.iter().filter(|(name, _)| archive::is_archive(Path::new(name))).collect();
    match archives.as_slice() {
        [(_, one)] => Ok(Place::Archive(one.clone())),
        [] => match files.iter().find_map(|(name, _)| archive::unread(name)) {
            Some((_, ending)) => Err(format!("{ending} is not supported: hand in .tar.gz or .zip")),
            None => Ok(Place::Files(parts.to_vec())),
        },
        several => Err(format!("there are {} archives, and it is unclear which one counts", several.len())),
    }
}

/// Splits a name into the student's name, the platform's number, and the file's own name, which is missing for text
/// typed on the platform.
fn on_platform(name: &str) -> Option<(&str, &str, Option<&str>)> {
    let (before, after) = name.split_once(MOODLE)?;
    let (student, number) = before.rsplit_once('_')?;
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let own = after.strip_prefix("file").map(|own| own.strip_prefix('_').unwrap_or(own));
    Some((student.trim(), number, own))
}

/// Turns a name into one that is valid as a file name, in a URL and for a lab.
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
        for (name, told) in [
            ("Pérez Gil Ana_12345_assignsubmission_file_", Some(("Pérez Gil Ana", "12345", Some("")))),
            ("Li Wei_7_assignsubmission_file_ws.zip", Some(("Li Wei", "7", Some("ws.zip")))),
            ("Li Wei_7_assignsubmission_file", Some(("Li Wei", "7", Some("")))),
            ("Li Wei_7_assignsubmission_onlinetext", Some(("Li Wei", "7", None))),
            ("ana_12345", None),
        ] {
            assert_eq!(on_platform(name), told);
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
