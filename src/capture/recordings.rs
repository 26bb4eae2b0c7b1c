//! Captures in a folder, and which of them are still being written, and by whom.
//!
//! Whoever writes one holds a POSIX lock on it, which names its process to whoever asks and goes with
//! that process, however it ends. So there is no list of recordings that could be wrong. A hidden file beside the
//! capture stays until the recording has ended as it was to: one without a writer ended early.

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

/// How long a writer may take to end after it was told to.
const PATIENCE: Duration = Duration::from_secs(5);

/// How deep below the folder to look: a lab's folder, a run's, and one to spare.
const DEPTH: usize = 3;

/// A capture file.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written to.
    pub modified: SystemTime,
    /// The process that writes it, if one does.
    pub writer: Option<i32>,
    /// What its statistics say, if it has any.
    pub ending: Option<Ending>,
    /// Why it ended before anybody asked for that, if it did.
    pub ended_early: Option<String>,
}

/// A recording of this process. Dropping it gives the capture free.
#[derive(Debug)]
pub struct Marked {
    path: PathBuf,
    _lock: File,
}

impl Marked {
    /// Notes that the recording ends as it was to.
    pub fn settle(&self) -> Result<()> {
        acknowledge(&self.path)
    }
}

/// Shows others that this process writes the capture, for as long as what is returned is kept.
pub fn mark(path: &Path) -> Result<Marked> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.or_lab(|| format!("cannot open {}", path.display()))?;
    fcntl(&file, FcntlArg::F_SETLK(&whole_file())).or_lab(|| format!("cannot lock {}", path.display()))?;
    let marker = marker(path);
    File::create(&marker).or_lab(|| format!("cannot create {}", marker.display()))?;
    Ok(Marked { path: path.to_owned(), _lock: file })
}

/// Forgets that a recording ended early: somebody was told.
pub fn acknowledge(path: &Path) -> Result<()> {
    let marker = marker(path);
    match fs::remove_file(&marker) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::lab(format!("cannot remove {}", marker.display())).caused_by(error))
        }
        _ => Ok(()),
    }
}

/// What is beside a capture that is being recorded.
fn marker(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".recording");
    path.with_file_name(name)
}

/// The captures of a folder and of the run folders in it, the newest first. No folder, no captures.
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
        // A file may go away meanwhile; then it is not there.
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

/// Who writes the capture, and whether a recording to it ended early. A recorder locks the file before it makes the
/// marker, and removes the marker before it gives up the lock; so that the lock is looked at before and after.
fn look(path: &Path) -> (Option<i32>, bool) {
    if let Some(writer) = writer(path) {
        return (Some(writer), false);
    }
    let is_marked = marker(path).exists();
    let writer = if is_marked { writer(path) } else { None };
    (writer, is_marked && writer.is_none())
}

/// Why a recording ended early: as it says itself, unless it had no time for that.
fn why(ending: Option<&Ending>) -> String {
    let said = ending.and_then(|ending| ending.comment.as_deref());
    said.map_or("its recorder was killed".into(), |said| said.trim_start_matches(ENDED_EARLY).to_owned())
}

/// Tells the writer to end, and waits until it has.
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
        _ => Err(Error::lab(format!("process {writer} goes on writing {}", recording.path.display()))),
    }
}

/// Who holds the lock. None where the file cannot be opened: then we could not stop it, either.
fn writer(path: &Path) -> Option<i32> {
    let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    // A process of another PID namespace has no number here, and is not ours to end.
    (i32::from(lock.l_type) != libc::F_UNLCK && lock.l_pid > 0).then_some(lock.l_pid)
}

/// A write lock from the first byte to the last, wherever that is.
fn whole_file() -> libc::flock {
    let write = libc::c_short::try_from(libc::F_WRLCK).unwrap_or_default();
    let from_start = libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default();
    libc::flock { l_type: write, l_whence: from_start, l_start: 0, l_len: 0, l_pid: 0 }
}

/// The capture file changed last, in a folder or below.
pub fn newest(folder: &Path) -> Result<PathBuf> {
    let mut best = None;
    search(folder, DEPTH, &mut best);
    best.map(|(_, path)| path).ok_or_else(|| {
        Error::usage(format!("no capture under {}", folder.display()))
            .hint("name a file, or record one with `netlab capture start`")
    })
}

/// What cannot be read is passed over: it is not what the user meant.
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
