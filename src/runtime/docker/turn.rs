//! Turns to change a lab on an engine, with a record of each that outlives the process that had it.
//!
//! An engine carries out a request even if the client no longer waits for the answer. So each request is
//! first written to a file beside the labs' folders, which stays locked for the duration of the turn. A
//! process that gets the turn and finds such a file knows that the one before was killed, and what the engine
//! may still be creating.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bollard::errors::Error as Refusal;
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use crate::{Error, Result, error::Context, own, runtime::namespaces::state::Base};

/// How long to wait for a turn. Building a lab takes a second or two.
const PATIENCE: Duration = Duration::from_secs(30);
/// Polling interval of a process that waits for its turn.
const LOOK: Duration = Duration::from_millis(10);
/// Maximum size of a record, in bytes: it has two lines for each part of a lab.
const MOST: u64 = 1 << 20;

/// Line: the lab is being built or removed.
const HALF_WAY: &str = "half-way";
/// Lines: the engine was asked to create an object of this name; it has answered.
const ASKED: &str = "asked ";
const ANSWERED: &str = "answered ";
/// Line: the pid of the process whose turn it is.
const BY: &str = "by ";

/// The right to change a lab. It ends once this value is dropped and every request made through it is
/// complete.
pub struct Turn(Arc<Held>);

struct Held {
    path: PathBuf,
    record: Flock<File>,
    /// What the turn before left incomplete, if its process was killed.
    before: Record,
    changes: TaskTracker,
}

impl Turn {
    /// Waits for a turn to change the lab.
    ///
    /// # Errors
    /// Another process holds the turn for too long.
    pub async fn take(lab: &str) -> Result<Self> {
        Self::at(Base::locate().prepare()?.lab(lab)?.with_extension(KIND), lab, PATIENCE).await
    }

    async fn at(path: PathBuf, lab: &str, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let record = loop {
            match lock(&path).or_lab(|| format!("cannot write {}", path.display()))? {
                Some(lock) => break lock,
                None if Instant::now() < deadline => sleep(LOOK).await,
                None => return Err(busy(lab, &path)),
            }
        };
        let before = Record::read(&path)?;
        let held = Held { path, record, before, changes: TaskTracker::new() };
        // The pid is only information for people, and a full disk must not prevent a lab from being taken
        // down.
        let _ = held.note(BY, &std::process::id().to_string());
        Ok(Self(Arc::new(held)))
    }

    /// Records that the lab is half built or half removed from now until the turn is finished.
    pub fn half_way(&self) -> Result<()> {
        self.0.note(HALF_WAY, "")
    }

    /// Returns whether the turn before left the lab half built or half removed.
    pub fn was_half_way(&self) -> bool {
        self.0.before.half_way
    }

    /// Returns the names of objects that the engine may still be creating from the turn before.
    pub fn may_still_come(&self) -> &[String] {
        &self.0.before.unanswered
    }

    /// Asks the engine to create an object of this name, and returns its answer. The request completes even
    /// if this future is dropped first.
    pub async fn ask<T: Send + 'static>(
        &self,
        name: &str,
        change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<Result<T, Refusal>> {
        self.0.note(ASKED, name)?;
        let (held, name) = (self.0.clone(), name.to_owned());
        let asked = self.0.changes.spawn(async move {
            let answer = change.await;
            if matches!(answer, Ok(_) | Err(Refusal::DockerResponseServerError { .. })) {
                // A lost note only costs the next turn some time.
                let _ = held.note(ANSWERED, &name);
            }
            answer
        });
        asked.await.or_lab(|| "cannot wait for the docker engine")
    }

    /// Waits until every request is answered.
    pub async fn settled(&self) {
        self.0.changes.close();
        self.0.changes.wait().await;
        self.0.changes.reopen();
    }

    /// Ends the turn: the change is complete.
    pub async fn finish(self) -> Result<()> {
        self.settled().await;
        let path = &self.0.path;
        fs::remove_file(path).or_lab(|| format!("cannot remove {}", path.display()))
    }

    /// Ends the turn, but leaves what the turn before left incomplete on record.
    pub async fn pass(self) -> Result<()> {
        let before = &self.0.before;
        if before.half_way || !before.unanswered.is_empty() { Ok(()) } else { self.finish().await }
    }
}

impl Held {
    fn note(&self, word: &str, name: &str) -> Result<()> {
        let line = format!("{word}{name}\n");
        (&*self.record).write_all(line.as_bytes()).or_lab(|| format!("cannot write {}", self.path.display()))
    }
}

/// Returns whether a lab is being built or removed, or was left half-way by a process that was killed.
pub fn is_half_way(lab: &str) -> Result<bool> {
    let base = Base::locate();
    let Some(place) = base.there()? else { return Ok(false) };
    Ok(Record::read(&place.lab(lab)?.with_extension(KIND))?.half_way)
}

/// Returns the labs that have a record, even if nothing else of them exists.
pub fn left() -> Result<Vec<String>> {
    let base = Base::locate();
    let Some(place) = base.there()? else { return Ok(Vec::new()) };
    let what = || format!("cannot read {}", place.path().display());
    let files =
        fs::read_dir(place.path()).or_lab(what)?.flatten().map(|file| PathBuf::from(file.file_name()));
    let records = files.filter(|file| file.extension().is_some_and(|kind| kind == KIND));
    Ok(records.filter_map(|file| file.file_stem()?.to_str().map(str::to_owned)).collect())
}

/// The extension of records; lab names have no dot.
const KIND: &str = "docker";

/// The contents of a record file.
#[derive(Debug, Default)]
struct Record {
    half_way: bool,
    unanswered: Vec<String>,
    by: Option<u32>,
}

impl Record {
    fn read(path: &Path) -> Result<Self> {
        match own::read(path, MOST) {
            Ok(bytes) => Ok(Self::parse(&String::from_utf8_lossy(&bytes))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(e).or_lab(|| format!("cannot read {}", path.display())),
        }
    }

    fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(ASKED) {
                record.unanswered.push(name.to_owned());
            } else if let Some(name) = line.strip_prefix(ANSWERED) {
                record.unanswered.retain(|asked| asked != name);
            } else if let Some(pid) = line.strip_prefix(BY) {
                record.by = pid.parse().ok();
            }
            record.half_way |= line == HALF_WAY;
        }
        record
    }
}

/// Opens and locks the record; `None` while another process holds it.
fn lock(path: &Path) -> std::io::Result<Option<Flock<File>>> {
    loop {
        let lock = match Flock::lock(own::append(path)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, error)) => return Err(error.into()),
        };
        // The process before may have removed the file, and another may have created it again.
        let held = lock.metadata()?;
        if fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
            return Ok(Some(lock));
        }
    }
}

fn busy(lab: &str, path: &Path) -> Error {
    let by = Record::read(path).ok().and_then(|record| record.by);
    let by = by.map_or(String::new(), |pid| format!(", process {pid},"));
    Error::lab(format!("another netlab{by} has been building or removing lab \"{lab}\" for too long"))
        .hint("end it, or let it finish, then try again")
}

#[cfg(test)]
mod tests {
    use std::future;

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.docker");
        (folder, path)
    }

    #[tokio::test]
    async fn a_change_that_nobody_waits_for_is_waited_for_by_the_next() {
        let (_folder, path) = place();
        let turn = Turn::at(path.clone(), "x", PATIENCE).await.unwrap();
        let (answer, answered) = oneshot::channel::<()>();
        let change = async { answered.await.map_err(|_| Refusal::RequestTimeoutError) };
        assert!(timeout(SOON, turn.ask("a", change)).await.is_err(), "the caller has gone");
        drop(turn);
        let mut next = Box::pin(Turn::at(path, "x", PATIENCE));
        assert!(timeout(SOON, &mut next).await.is_err());
        answer.send(()).unwrap();
        let next = next.await.unwrap();
        assert_eq!(next.may_still_come(), <[String; 0]>::default());
        assert_eq!(next.ask("b", future::ready(Ok(7))).await.unwrap().unwrap(), 7, "the next turn works");
        next.settled().await;
    }

    #[tokio::test]
    async fn what_somebody_left_half_way_is_known_until_it_is_finished() {
        let (folder, path) = place();
        let turn = Turn::at(path.clone(), "x", PATIENCE).await.unwrap();
        turn.half_way().unwrap();
        turn.ask("a", future::ready(Ok(()))).await.unwrap().unwrap();
        let lost = future::ready(Err::<(), _>(Refusal::RequestTimeoutError));
        turn.ask("b", lost).await.unwrap().unwrap_err();
        drop(turn);
        let next = Turn::at(path.clone(), "x", PATIENCE).await.unwrap();
        assert_eq!((next.was_half_way(), next.may_still_come()), (true, &["b".to_owned()][..]));
        next.pass().await.unwrap();
        let next = Turn::at(path, "x", PATIENCE).await.unwrap();
        assert!(next.was_half_way());
        next.finish().await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn somebody_who_comes_to_no_end_is_named() {
        let (_folder, path) = place();
        let _turn = Turn::at(path.clone(), "x", PATIENCE).await.unwrap();
        let error = Turn::at(path, "x", SOON).await.err().unwrap();
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
    }
}
