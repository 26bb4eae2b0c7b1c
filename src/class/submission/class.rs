//! A class: the submissions in a folder, or in the zip of a learning platform.
//!
//! Moodle names what a student hands in `Surname Name_12345_assignsubmission_file_`, as a folder or as the
//! beginning of each file's name. What has one number is one submission.

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
    _unpacked: Option<Scratch>,
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
    /// Files that are too long for a class, and so not in it.
    pub left_out: Vec<PathBuf>,
    place: Result<Place, String>,
}

/// Where a submission is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Archive(PathBuf),
    Files(Vec<Part>),
}

/// A file or a folder of a submission.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// What it is called in the submission; nothing for a folder that is the submission.
    name: PathBuf,
    path: PathBuf,
}

impl Class {
    /// Reads what is in a folder, or in a zip of such a folder. If the grades' own folder is in there, it is nobody's
    /// submission.
    pub fn open(path: &Path, grades: &Path) -> Result<Self> {
        scratch::sweep();
        if path.is_dir() {
            return Self::read(path, None, Some(grades));
        }
        if !archive::is_archive(path) {
            return Err(Error::usage(format!("{} is no folder and no archive", path.display()))
                .hint("name a folder of submissions, or the zip that the learning platform gives"));
        }
        let unpacked = Scratch::new()?;
        let mut extractor = Extractor::of_class(unpacked.path());
        archive::unpack(path, &mut extractor, Bounds::CLASS.total_bytes, Which::All)?;
        let missing = extractor.missing();
        let class = Self::read(unpacked.path(), Some(&missing), None)?;
        Ok(Self { _unpacked: Some(unpacked), ..class })
    }

    /// `missing` says what of a class that was unpacked now is not in the folder, `grades` where the grades are.
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
            return Err(Error::usage(format!("no submission in {}", folder.display()))
                .hint("a submission is an archive (.tar.gz, .tar, .zip) or a folder"));
        }
        let mut keys = BTreeMap::new();
        let unpacked = missing.is_some();
        let submissions = groups.into_iter().map(|group| group.submission(unpacked, &mut keys)).collect();
        Ok(Self { submissions, skipped, _unpacked: None })
    }
}

impl Submission {
    /// Its sources. An error is the student's: what was handed in cannot be taken, and why.
    pub fn open(&self) -> Result<Sources> {
        match &self.place {
            Ok(place) => Sources::open(place),
            Err(why) => Err(Error::usage(why)),
        }
    }
}

/// What belongs to one student.
struct Group {
    student: String,
    number: Option<String>,
    parts: Vec<Part>,
    fault: Option<String>,
    left_out: Vec<PathBuf>,
}

impl Group {
    /// What is at that path, if it is, or is of, a submission.
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
        // What a student has written into a box is no file.
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
        // A name goes to terminals, pages and tables, and is to show there as what it is.
        let student = visible(student);
        Some(Self { student, number, parts, fault: None, left_out: Vec::new() })
    }

    /// Remembers what of this entry of the class is missing.
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

    /// `unpacked`: the folders were made just now, and their own times say nothing.
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
    /// The sources in it by their names in the submission, and the files that are too long.
    pub(super) fn sources(&self) -> Result<(Vec<Found>, Vec<PathBuf>)> {
        if !self.path.is_dir() {
            return walk::file_that_fits(&self.name, &self.path, Bounds::SUBMISSION);
        }
        walk::sources_that_fit(&self.path, Bounds::SUBMISSION)
    }

    /// The name of an archive in the folder, if it is one, that is a link out of it. Of sources that are, is told when
    /// they are opened.
    fn link_out(&self) -> Option<String> {
        let root = self.path.canonicalize().ok().filter(|root| root.is_dir())?;
        let is_archive = |name: &str| archive::is_archive(Path::new(name)) || archive::unread(name).is_some();
        let mut names = fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let out =
            names.find(|name| is_archive(&name.to_string_lossy()) && leads_out(&root, &root.join(name)))?;
        Some(visible(&out.to_string_lossy()))
    }

    /// The files that lie open in it, by their names.
    fn files(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let below = entries.map(|entry| (entry.file_name().into(), entry.path()));
        let all = below.chain([(self.name.clone(), self.path.clone())]);
        all.map(|(name, path): (PathBuf, _)| (name.to_string_lossy().into_owned(), path))
            .filter(|(name, path)| !is_hidden(name) && path.is_file())
            .collect()
    }
}

/// What is wrong with an entry of the class whose folder `root` is, whatever is in it.
fn fault(root: &Path, path: &Path) -> Option<String> {
    let name = || visible(&path.file_name().unwrap_or_default().to_string_lossy());
    if leads_out(root, path) {
        return Some(format!(
            "the link {} leads out of the class's folder: put the file itself in its place",
            name()
        ));
    }
    // Also by a link: who has one would be left out, and nobody would notice.
    path.join(GRADES).symlink_metadata().ok().map(|_| {
        format!(
            "there is a {GRADES} in it, as in a folder of grades: remove that if {} is a submission",
            name()
        )
    })
}

/// Whether the path is a link, or below one, to something outside of the folder, or to nothing.
fn leads_out(root: &Path, path: &Path) -> bool {
    path.canonicalize().map_or(true, |target| !target.starts_with(root))
}

/// Whether it is what systems keep beside people's files.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// When the last of its sources was changed, or else of its files.
fn newest(parts: &[Part]) -> Option<SystemTime> {
    let sources = parts.iter().filter_map(|part| part.sources().ok()).flat_map(|(found, _)| found);
    let files = parts.iter().flat_map(Part::files);
    let last = sources.filter_map(|found| changed(&found.path)).max();
    last.or_else(|| files.filter_map(|(_, path)| changed(&path)).max())
}

/// Where the submission is: the workspace itself, or else the one archive.
fn place(parts: &[Part]) -> Result<Place, String> {
    if parts.is_empty() {
        return Err("only a text was handed in, and no file".into());
    }
    let is_manifest = |found: &Found| found.name.file_name() == Some(MANIFEST.as_ref());
    // One that cannot be read is told of when it is opened.
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
            Some((_, ending)) => Err(format!("a {ending} is not read: hand in .tar.gz or .zip")),
            None => Ok(Place::Files(parts.to_vec())),
        },
        several => Err(format!("{} archives, and no telling which one counts", several.len())),
    }
}

/// The student's name, the platform's number, and the file's own name; that one not for a text that was written
/// on the platform itself.
fn on_platform(name: &str) -> Option<(&str, &str, Option<&str>)> {
    let (before, after) = name.split_once(MOODLE)?;
    let (student, number) = before.rsplit_once('_')?;
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let own = after.strip_prefix("file").map(|own| own.strip_prefix('_').unwrap_or(own));
    Some((student.trim(), number, own))
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
