//! Unpacks archives that anybody may have made.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    path::Path,
    time::{Duration, SystemTime},
};

use flate2::bufread::MultiGzDecoder;

use super::{
    MANIFEST, Manifest, OWN,
    walk::{first_bytes, is_source},
};
use crate::{
    Error, Result,
    class::submission::extract::{Entry, Extractor},
    error::Context,
};

/// What an archive may hold besides what is extracted, in bytes: headers, and a run's evidence and capture.
const BESIDES: u64 = 128 << 20;
/// Maximum length of a manifest, in bytes.
const LONGEST_MANIFEST: u64 = 1 << 20;

/// Endings of archives that can be read.
const READ: [&str; 4] = [".tar.gz", ".tgz", ".tar", ".zip"];
/// Endings of other archives that people make, longer ones first.
const UNREAD: [&str; 14] = [
    ".tar.xz", ".tar.bz2", ".tar.zst", ".tar.lz", ".txz", ".tbz2", ".tbz", ".rar", ".7z", ".gz", ".xz",
    ".bz2", ".zst", ".lz",
];

/// Which files of an archive are extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Only sources.
    Sources,
}

/// Returns whether a file is named like an archive that can be read.
pub fn is_archive(path: &Path) -> bool {
    stem(path).is_some()
}

/// Returns the name of an archive without its ending; `None` if it is not an archive.
pub fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    without(name, &READ).map(|(stem, _)| stem)
}

/// Splits the name of an archive of an unsupported kind into its stem and its ending.
pub fn unread(name: &str) -> Option<(&str, &'static str)> {
    if without(name, &READ).is_some() { None } else { without(name, &UNREAD) }
}

/// Returns the name without the first of these endings that it has, and the ending; case does not matter.
fn without<'n>(name: &'n str, endings: &[&'static str]) -> Option<(&'n str, &'static str)> {
    endings.iter().find_map(|end| {
        let (stem, own) = name.split_at_checked(name.len().checked_sub(end.len())?)?;
        own.eq_ignore_ascii_case(end).then_some((stem, *end))
    })
}

/// Unpacks an archive, whose kind follows from its first bytes. Returns the manifest, if there is one.
pub fn unpack(
    path: &Path,
    extractor: &mut Extractor<'_>,
    most: u64,
    which: Which,
) -> Result<Option<Manifest>> {
    let file = File::open(path).or_usage(|| format!("cannot read {}", path.display()))?;
    unpack_from(path, BufReader::new(file), extractor, most, which)
}

/// Like [`unpack`], for an archive that is already open.
pub fn unpack_from(
    path: &Path,
    mut file: impl BufRead + Seek,
    extractor: &mut Extractor<'_>,
    most: u64,
    which: Which,
) -> Result<Option<Manifest>> {
    let what = || format!("cannot read {}", path.display());
    let first = first_bytes(&mut file).or_usage(what)?;
    file.rewind().or_usage(what)?;
    match first.as_slice() {
        [0x1f, 0x8b, ..] => untar(Bounded::new(MultiGzDecoder::new(file), most), extractor, which),
        [b'P', b'K', ..] => unzip(file, extractor, which),
        _ if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tar")) => {
            untar(Bounded::new(file, most), extractor, which)
        }
        _ => Err(Error::usage(format!("{} is neither tar, tar.gz nor zip", name_of(path)))
            .hint("`netlab submit` makes a valid archive")),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A reader that returns at most a number of bytes and then an error, because a few bytes can unpack to any number.
struct Bounded<R> {
    from: R,
    /// How many bytes are left; `None` once there were too many.
    left: Option<u64>,
}

impl<R: Read> Bounded<R> {
    fn new(from: R, most: u64) -> Self {
        Self { from, left: Some(most + BESIDES) }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.left = self.left.and_then(|left| left.checked_sub(n as u64));
        if self.left.is_some() { Ok(n) } else { Err(io::Error::other("too much")) }
    }
}

/// Returns the error for a damaged archive, in our own words instead of the library's.
fn damaged(error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early",
        _ => "a header, a checksum or the compressed data is wrong",
    };
    Error::usage(format!("the archive is damaged: {why}"))
        .hint("make it again, and compare it with what arrived")
}

/// The content of an archive; damage in it is also reported in our own words.
struct Content<R>(R);

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .read(buffer)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, damaged(&error).to_string()))
    }
}

fn untar<R: Read>(
    mut from: Bounded<R>,
    extractor: &mut Extractor<'_>,
    which: Which,
) -> Result<Option<Manifest>> {
    let manifest = untar_bounded(&mut from, extractor, which);
    if from.left.is_none() {
        return Err(Error::usage("it unpacks to more than any submission"));
    }
    manifest
}

fn untar_bounded(from: impl Read, extractor: &mut Extractor<'_>, which: Which) -> Result<Option<Manifest>> {
    let mut manifest = None;
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries().map_err(|e| damaged(&e))? {
        let mut entry = entry.map_err(|e| damaged(&e))?;
        let name = entry.path().map_err(|e| damaged(&e))?.into_owned();
        let header = entry.header();
        let kind = header.entry_type();
        if extractor.refuses(&name) || is_beside(&name, which) {
            continue;
        }
        let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                // When a submission arrived matters; when its files were made does not.
                let seconds = header.mtime().ok().filter(|_| which == Which::All);
                let modified =
                    seconds.and_then(|n| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(n)));
                let file = Entry { name: &name, executable, modified, content: &mut Content(&mut entry) };
                let taken = take(file, extractor, which, &mut manifest);
                extractor.settle(&name, taken)?;
            }
            tar::EntryType::Directory => {
                let made = extractor.folder(&name);
                extractor.settle(&name, made)?;
            }
            tar::EntryType::XGlobalHeader => {}
            other => extractor.settle(&name, Err(no_plain_file(&name, in_words(other))))?,
        }
    }
    Ok(manifest)
}

/// Returns whether the name alone, whatever it is the name of, rules a file out.
fn is_beside(name: &Path, which: Which) -> bool {
    which == Which::Sources && !is_source(name, &[]) && !is_manifest(name)
}

fn is_manifest(name: &Path) -> bool {
    name == Path::new(OWN).join(MANIFEST)
}

fn in_words(kind: tar::EntryType) -> &'static str {
    match kind {
        tar::EntryType::Symlink => "a symbolic link",
        tar::EntryType::Link => "a hard link",
        tar::EntryType::Char | tar::EntryType::Block => "a device",
        tar::EntryType::Fifo => "a FIFO",
        _ => "something else",
    }
}

fn no_plain_file(name: &Path, kind: &str) -> Error {
    let name = name.to_string_lossy();
    Error::usage(format!("{} is {kind}", name.escape_debug()))
        .hint("only regular files and folders are accepted")
}

fn unzip(from: impl Read + Seek, extractor: &mut Extractor<'_>, which: Which) -> Result<Option<Manifest>> {
    let mut manifest = None;
    let mut archive = zip::ZipArchive::new(from).map_err(unreadable)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        // Some programs use their system's separators, against the rules of the format.
        let name = entry.name().map_err(unreadable)?.replace('\\', "/");
        let is_folder = name.ends_with('/');
        let name = Path::new(&name);
        if extractor.refuses(name) || is_beside(name, which) {
            continue;
        }
        let mode = entry.unix_mode().unwrap_or(0);
        let modified = entry.last_modified().and_then(time_of);
        // The file type as in stat(2); systems without such types leave it zero.
        let taken = match mode & 0o170_000 {
            _ if is_folder => extractor.folder(name),
            0 | 0o100_000 => {
                let content = &mut Content(&mut entry);
                let file = Entry { name, executable: mode & 0o111 != 0, modified, content };
                take(file, extractor, which, &mut manifest)
            }
            0o120_000 => Err(no_plain_file(name, "a symbolic link")),
            _ => Err(no_plain_file(name, "something else")),
        };
        extractor.settle(name, taken)?;
    }
    Ok(manifest)
}

/// Returns the error for a zip that cannot be read any further.
fn unreadable(error: zip::result::ZipError) -> Error {
    use zip::result::ZipError;
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            Error::usage("the archive is encrypted").hint("hand it in without a password")
        }
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            Error::usage("the archive is packed in an unsupported way")
                .hint("hand in an ordinary .zip or .tar.gz")
        }
        ZipError::Io(error) => damaged(&error),
        _ => damaged(&io::ErrorKind::InvalidData.into()),
    }
}

/// Converts a time in a zip, which has no time zone; this machine's is assumed.
fn time_of(time: zip::DateTime) -> Option<SystemTime> {
    let part = |n: u8| i8::try_from(n).ok();
    let year = i16::try_from(time.year()).ok()?;
    let (hour, minute, second) = (part(time.hour())?, part(time.minute())?, part(time.second())?);
    let civil =
        jiff::civil::DateTime::new(year, part(time.month())?, part(time.day())?, hour, minute, second, 0)
            .ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::system()).ok()?.timestamp().into())
}

fn take(
    entry: Entry<'_>,
    extractor: &mut Extractor<'_>,
    which: Which,
    manifest: &mut Option<Manifest>,
) -> Result<()> {
    let what = || format!("cannot unpack {}", entry.name.to_string_lossy().escape_debug());
    let first = first_bytes(&mut *entry.content).or_usage(what)?;
    if which == Which::Sources && !is_source(entry.name, &first) {
        if is_manifest(entry.name) {
            let text = first.chain(entry.content).take(LONGEST_MANIFEST);
            // Anybody may have made it; an unreadable one is ignored.
            *manifest = serde_json::from_reader(text).ok();
        }
        return Ok(());
    }
    let mut content = first.as_slice().chain(entry.content);
    extractor.file(Entry { content: &mut content, ..entry })
}
