//! Lists the captures in a folder, and finds those still being written and their writers.
//!
//! The writer of a capture holds a POSIX lock on it. The lock names the process to anybody who asks, and goes away
//! with it however it ends, so there is no list of recordings that could be wrong. A hidden file beside the capture
//! stays until the recording has ended properly: if it is there without a writer, the recording ended early.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::Ending;
use crate::{Error, Result, error::Context};

/// What precedes the reason in the comment of a capture that ended early.
pub const ENDED_EARLY: &str = "netlab: this recording ended early: ";

/// How long a writer may take to end after the signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// How deep to search below the folder: a lab's folder, a run's, and one to spare.
const DEPTH: usize = 3;

/// A capture file.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written to.
    pub modified: SystemTime,
    /// The process that writes it, if one does.
    pub writer: Option<i32>,
    /// The statistics at its end, if it has any.
    pub ending: Option<Ending>,
    /// Why it ended before it was stopped, if it did.
    pub ended_early: Option<String>,
}

/// A recording by this process. Dropping it unlocks the capture.
#[derive(Debug)]
pub struct Marked {
    path: PathBuf,
    _lock: File,
}

impl Marked {
    /// Notes that the recording ended properly.
    pub fn settle(&self) -> Result<()> {
        acknowledge(&self.path)
    }
}

/// Marks a capture as being written by this process, until the result is dropped.
pub fn mark(path: &Path) -> Result<Marked> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.or_lab(|| format!("cannot open {}", path.display()))?;
    fcntl(&file, FcntlArg::F_SETLK(&whole_file())).or_lab(|| format!("cannot lock {}", path.display()))?;
    let marker = marker(path);
    File::create(&marker).or_lab(|| format!("cannot create {}", marker.display()))?;
    Ok(Marked { path: path.to_owned(), _lock: file })
}

/// Forgets that a recording ended early, once that has been reported.
pub fn acknowledge(path: &Path) -> Result<()> {
    let marker = marker(path);
    match fs::remove_file(&marker) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::lab(format!("cannot remove {}", marker.display())).caused_by(error))
        }
        _ => Ok(()),
    }
}

/// Returns the path of the hidden file beside a capture that is being recorded.
fn marker(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".recording");
    path.with_file_name(name)
}

/// Returns the captures in a folder and in the run folders below it, newest first. A missing folder has none.
pub fn list(folder: &Path) -> Result<Vec<Recording>> {
    let mut all = Vec::new();
    gather(folder, true, &mut all)?;
    all.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| a.path.cmp(&b.path)));
    Ok(all)
}

fn gather(folder: &Path, deeper: bool, into: &mut Vec<Recording>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.or_usage(|| format!("cannot read folder {}", folder.display()))?,
    };
    for entry in entries {
        let path = entry.or_usage(|| format!("cannot read folder {}", folder.display()))?.path();
        // A file may disappear meanwhile.
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_dir() && deeper {
            gather(&path, false, into)?;
        } else if path.extension().is_some_and(|e| e == "pcapng" || e == "pcap") {
            let (writer, is_abandoned) = look(&path);
            let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let ending = writer.map_or_else(|| Ending::of(&path), |_| None);
            let ended_early = is_abandoned.then(|| why(ending.as_ref()));
            into.push(Recording { path, size: meta.len(), modified, writer, ending, ended_early });
        }
    }
    Ok(())
}

/// Returns the writer of a capture, and whether a recording to it ended early. A recorder locks the file before it
/// creates the marker, and removes the marker before it unlocks the file, so the lock is checked before and after.
fn look(path: &Path) -> (Option<i32>, bool) {
    if let Some(writer) = writer(path) {
        return (Some(writer), false);
    }
    let is_marked = marker(path).exists();
    let writer = if is_marked { writer(path) } else { None };
    (writer, is_marked && writer.is_none())
}

/// Returns why a recording ended early, from its comment if it still had the time to write one.
fn why(ending: Option<&Ending>) -> String {
    let said = ending.and_then(|ending| ending.comment.as_deref());
    said.map_or("its recorder was killed".into(), |said| said.trim_start_matches(ENDED_EARLY).to_owned())
}

/// Tells the writer to end, and waits until it has ended.
pub async fn stop(recording: &Recording) -> Result<()> {
    let Some(writer) = recording.writer else { return Ok(()) };
    kill(Pid::from_raw(writer), Signal::SIGTERM)
        .or_lab(|| format!("cannot end process {writer}, which writes {}", recording.path.display()))?;
    let path = recording.path.clone();
    let wait = crate::aside(move || {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        fcntl(&file, FcntlArg::F_SETLKW(&whole_file())).map_err(std::io::Error::from)
    });
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(Ok(ended)) => ended.map(drop).or_lab(|| format!("cannot lock {}", recording.path.display())),
        _ => Err(Error::lab(format!("process {writer} is still writing {}", recording.path.display()))),
    }
}

/// Returns the process that holds the lock; `None` if the file cannot be opened, when we could not stop it either.
fn writer(path: &Path) -> Option<i32> {
    let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    // A process in another PID namespace has no number here, and is not ours to stop.
    (i32::from(lock.l_type) != libc::F_UNLCK && lock.l_pid > 0).then_some(lock.l_pid)
}

/// Returns a write lock on the whole file, whatever its length.
fn whole_file() -> libc::flock {
    let write = libc::c_short::try_from(libc::F_WRLCK).unwrap_or_default();
    let from_start = libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default();
    libc::flock { l_type: write, l_whence: from_start, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Returns the capture that was changed last, in a folder or below.
pub fn newest(folder: &Path) -> Result<PathBuf> {
    let mut best = None;
    search(folder, DEPTH, &mut best);
    best.map(|(_, path)| path).ok_or_else(|| {
        Error::usage(format!("no capture under {}", folder.display()))
            .hint("name a file, or record one with `netlab capture start`")
    })
}

/// Searches a folder, and skips what cannot be read: it is not what the user meant.
fn search(folder: &Path, depth: usize, best: &mut Option<(SystemTime, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() && depth > 0 {
            search(&path, depth - 1, best);
        }
        let is_capture = path.extension().is_some_and(|e| e == "pcapng" || e == "pcap");
        if let (true, true, Ok(changed)) = (metadata.is_file(), is_capture, metadata.modified())
            && best.as_ref().is_none_or(|(latest, _)| changed > *latest)
        {
            *best = Some((changed, path));
        }
    }
}
