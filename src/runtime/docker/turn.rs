//! Turns to change a lab of an engine, and a record of each that outlives whoever had it.
//!
//! An engine makes what it was asked for also when nobody waits for its answer any more. So what is asked for is
//! written down before, in a file beside the labs' folders that is locked for as long as the turn lasts. Whoever has
//! the next turn and finds the file knows that the one before was ended by force, and what may still come of it.

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

/// How long a turn is waited for. Building a lab takes a second or two.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often somebody who waits for a turn looks whether it has come.
const LOOK: Duration = Duration::from_millis(10);
/// A record has two lines for each part of a lab.
const MOST: u64 = 1 << 20;

/// The lab is not as it is to be: it is being built or removed.
const HALF_WAY: &str = "half-way";
/// The engine was asked to make something of that name, and has answered.
const ASKED: &str = "asked ";
const ANSWERED: &str = "answered ";
/// Whose turn it is, by its process's number.
const BY: &str = "by ";

/// The right to change a lab. It ends when this and every change that was asked for have ended.
pub struct Turn(Arc<Held>);

struct Held {
    path: PathBuf,
    record: Flock<File>,
    /// What the one before had left undone, if it was ended by force.
    before: Record,
    changes: TaskTracker,
}

impl Turn {
    /// Waits for a turn to change that lab.
    ///
    /// # Errors
    /// Somebody else does not come to an end.
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
        // It is for people, and a full disk is no reason to leave a lab.
        let _ = held.note(BY, &std::process::id().to_string());
        Ok(Self(Arc::new(held)))
    }

    /// Writes down that from here on, and until it is finished, the lab is half built or half removed.
    pub fn half_way(&self) -> Result<()> {
        self.0.note(HALF_WAY, "")
    }

    /// Whether the one before has left it like that.
    pub fn was_half_way(&self) -> bool {
        self.0.before.half_way
    }

    /// What the engine was asked for before and may still be making, by name.
    pub fn may_still_come(&self) -> &[String] {
        &self.0.before.unanswered
    }

    /// Asks the engine to make something of that name, and gives its answer. The change comes to its end also
    /// where this future is dropped before.
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
                // Not to know of an answer costs the next one some time, and nothing else.
                let _ = held.note(ANSWERED, &name);
            }
            answer
        });
        asked.await.or_lab(|| "cannot wait for the docker engine")
    }

    /// Waits until everything that was asked for is made or refused.
    pub async fn settled(&self) {
        self.0.changes.close();
        self.0.changes.wait().await;
        self.0.changes.reopen();
    }

    /// The lab is as it was to be.
    pub async fn finish(self) -> Result<()> {
        self.settled().await;
        let path = &self.0.path;
        fs::remove_file(path).or_lab(|| format!("cannot remove {}", path.display()))
    }

    /// What was to be changed is; what the one before had left undone still is undone.
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

/// Whether a lab is being built or removed, or was left half-way by somebody who was ended by force.
pub fn is_half_way(lab: &str) -> Result<bool> {
    let base = Base::locate();
    let Some(place) = base.there()? else { return Ok(false) };
    Ok(Record::read(&place.lab(lab)?.with_extension(KIND))?.half_way)
}

/// The labs of which there is a record, also where nothing of them shows.
pub fn left() -> Result<Vec<String>> {
    let base = Base::locate();
    let Some(place) = base.there()? else { return Ok(Vec::new()) };
    let what = || format!("cannot read {}", place.path().display());
    let files =
        fs::read_dir(place.path()).or_lab(what)?.flatten().map(|file| PathBuf::from(file.file_name()));
    let records = files.filter(|file| file.extension().is_some_and(|kind| kind == KIND));
    Ok(records.filter_map(|file| file.file_stem()?.to_str().map(str::to_owned)).collect())
}

/// No lab's name has a dot.
const KIND: &str = "docker";

/// What is written down.
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

/// The record of that path, locked; none while it is somebody else's.
fn lock(path: &Path) -> std::io::Result<Option<Flock<File>>> {
    loop {
        let lock = match Flock::lock(own::append(path)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, error)) => return Err(error.into()),
        };
        // Who had the turn before may have removed the file, and another may have made it anew.
        let held = lock.metadata()?;
        if fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
            return Ok(Some(lock));
        }
    }
}

fn busy(lab: &str, path: &Path) -> Error {
    let by = Record::read(path).ok().and_then(|record| record.by);
    let by = by.map_or(String::new(), |pid| format!(", process {pid},"));
    Error::lab(format!("another netlab{by} builds or removes lab \"{lab}\" and comes to no end"))
        .hint("end it, or have it go on, then try again")
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
        assert!(timeout(SOON, turn.ask("a", change)).await.is_err(), "whoever asked has gone");
        drop(turn);
        let mut next = Box::pin(Turn::at(path, "x", PATIENCE));
        assert!(timeout(SOON, &mut next).await.is_err());
        answer.send(()).unwrap();
        let next = next.await.unwrap();
        assert_eq!(next.may_still_come(), <[String; 0]>::default());
        assert_eq!(next.ask("b", future::ready(Ok(7))).await.unwrap().unwrap(), 7, "and on it goes");
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
