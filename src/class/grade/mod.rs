//! Grades a class: every submission is replayed from its sources in a lab of its own.
//!
//! Evidence inside a submission is ignored. A program that hangs, multiplies or fills the disk is stopped by its
//! lab's limits or by the clock, and so affects no other submission. If the lab itself could not run, there are
//! no marks, and the submission is tried again the next time.

mod labs;
mod marks;
mod record;
mod rejudge;
mod replay;
pub mod report;
mod section;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    future::Future,
    path::Path,
    pin::pin,
    sync::Arc,
    time::Instant,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{runtime::Handle, sync::watch};

use crate::{
    Error, Kind, Result,
    class::{
        course::Course,
        submission::{Bounds, Class, GRADES, Sources, Submission},
    },
    digest::sha256,
    error::{Context, FileContext},
    own,
    runtime::{Runtime, RuntimeKind},
    time::millis,
    workspace::{MANIFEST, Manifest},
    yaml::Document,
};
use labs::Labs;
use replay::{Attempt, Replay};

pub use marks::{Lateness, Marks};
pub use record::{Record, Status};
pub use rejudge::{Rejudged, rejudge};
pub use section::{SectionResult, share_of_run};

/// How a class is graded.
pub struct Settings<'a> {
    /// The rules.
    pub course: Arc<Course>,
    /// The runtime of the labs.
    pub runtime: Arc<dyn Runtime>,
    /// The folder for the grades, with a folder for each student.
    pub out: &'a Path,
    /// How many submissions are replayed at a time.
    pub jobs: usize,
}

/// Progress of a grading.
#[derive(Debug)]
pub enum Progress<'n> {
    /// A submission is being replayed.
    Begun(&'n Submission),
    /// A submission has not changed since it was graded.
    Kept(&'n Record),
    /// A submission is done.
    Done(&'n Record),
    /// Not all labs could be taken down.
    Left(&'n Error),
}

/// Grades a class. Returns the records in the order of the submissions. When `stop` completes, this ends with an
/// interrupted error; what was graded until then is kept in the students' folders and is not graded again.
pub async fn grade(
    class: &Class,
    settings: &Settings<'_>,
    stop: impl Future<Output = ()>,
    tell: &dyn Fn(Progress<'_>),
) -> Result<Vec<Record>> {
    let out = std::path::absolute(settings.out).or_usage(|| "cannot find the current folder")?;
    fs::create_dir_all(&out).or_file(|| format!("cannot make the folder {}", out.display()))?;
    let _turn = turn(&out)?;
    // Grades are not for other users of the machine.
    own::make_private(&out).or_file(|| format!("cannot make {} private", out.display()))?;
    let labs = Labs::new(&out, settings.jobs);
    labs.clear(settings.runtime.as_ref()).await?;
    let (end, is_over) = watch::channel(false);
    let grader = Grader { settings, out: &out, labs: &labs, is_over, tell };
    let work = stream::iter(class.submissions.iter().enumerate())
        .map(async |(n, submission)| grader.grade(submission).await.map(|record| (n, record)))
        .buffer_unordered(settings.jobs.max(1))
        .try_collect::<BTreeMap<usize, Record>>();
    let mut work = pin!(work);
    let records = tokio::select! {
        records = &mut work => records,
        () = stop => Err(Error::interrupted()),
    };
    // Also if an error has ended the work on all.
    let _ = end.send(true);
    labs.returned().await;
    if let Err(error) = labs.clear(settings.runtime.as_ref()).await {
        tell(Progress::Left(&error));
    }
    Ok(records?.into_values().collect())
}

/// Locks a folder for grading until the result is dropped. The folder must be empty or hold grades already, because
/// its contents may be replaced.
pub fn turn(out: &Path) -> Result<File> {
    let path = out.join(GRADES);
    let what = || format!("cannot write {}", path.display());
    if !path.exists() && fs::read_dir(out).or_usage(what)?.next().is_some() {
        return Err(Error::usage(format!("{} is neither empty nor a folder of grades", out.display()))
            .hint("name another folder with --out: its contents are replaced"));
    }
    let file = File::create(&path).or_file(what)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Error::usage(format!("another netlab is grading into {}", out.display()))
                .hint("wait for it, or name another folder with --out"))
        }
        Err(fs::TryLockError::Error(error)) => Err(error).or_usage(what),
    }
}

/// A submission, unpacked and ready to be replayed.
struct Opened {
    sources: Arc<Sources>,
    manifest: Manifest,
    hash: String,
}

/// Opens a submission on a thread of its own: unpacking and reading may take long and must not delay others.
async fn open(submission: &Submission, record: &mut Record) -> Result<Opened> {
    let submission = submission.clone();
    let opened = crate::aside(move || submission.open().map(|sources| (read(&sources), sources)));
    let (read, sources) = opened.await.or_lab(|| "cannot read a submission")??;
    record.note_left_out(&sources.left_out);
    let (manifest, hash) = read?;
    Ok(Opened { sources: Arc::new(sources), manifest, hash })
}

fn read(sources: &Sources) -> Result<(Manifest, String)> {
    Ok((manifest(sources)?, sources.hash()?))
}

/// Reads the submission's `netlab.yaml`.
fn manifest(sources: &Sources) -> Result<Manifest> {
    let hint = "`netlab init` creates one";
    let text = own::read_anybodys(&sources.path().join(MANIFEST), Bounds::SUBMISSION.file_bytes)
        .map_err(|e| Error::usage(format!("it has no readable {MANIFEST}")).caused_by(e).hint(hint))?;
    Manifest::from_document(&Document::parse(MANIFEST, &text)?)
}

struct Grader<'a> {
    settings: &'a Settings<'a>,
    out: &'a Path,
    labs: &'a Labs,
    is_over: watch::Receiver<bool>,
    tell: &'a dyn Fn(Progress<'_>),
}

impl Grader<'_> {
    /// Grades one submission. An error ends the grading of the whole class.
    async fn grade(&self, submission: &Submission) -> Result<Record> {
        let mut record = Record::new(submission);
        record.note_left_out(&submission.left_out);
        let folder = self.out.join(&submission.key);
        let Opened { sources, manifest, hash } = match open(submission, &mut record).await {
            Ok(opened) => opened,
            Err(error) => {
                // A fault of the machine is not the student's.
                if error.kind == Kind::Lab {
                    record.broke(&error);
                } else {
                    record.refuse(&error);
                }
                record.write(&folder)?;
                (self.tell)(Progress::Done(&record));
                return Ok(record);
            }
        };
        record.fingerprint = fingerprint(&hash, &self.settings.course, self.settings.runtime.kind());
        record.sources = hash;
        if let Some(kept) = Record::read(&folder).filter(|kept| kept.is_still(&record)) {
            record.keep(kept);
            record.note(&sources, &manifest)?;
            (self.tell)(Progress::Kept(&record));
            return Ok(record);
        }
        (self.tell)(Progress::Begun(submission));
        let started = Instant::now();
        let replay = Replay {
            course: self.settings.course.clone(),
            runtime: self.settings.runtime.clone(),
            sources: sources.clone(),
            manifest: manifest.clone(),
            folder: folder.clone(),
            key: submission.key.clone(),
        };
        match self.replay(replay).await? {
            Attempt::Judged(report) => record.take(report),
            Attempt::Lost(error) => {
                record.broke(&error);
                record.note_lost();
            }
            Attempt::Broke(error) => record.broke(&error),
        }
        record.note(&sources, &manifest)?;
        record.elapsed_ms = millis(started.elapsed());
        record.write(&folder)?;
        (self.tell)(Progress::Done(&record));
        Ok(record)
    }

    /// Replays a submission on a thread of its own. A program that floods its wire keeps its observer's reader busy,
    /// which must not slow down other submissions.
    async fn replay(&self, replay: Replay) -> Result<Attempt> {
        let (lab, mut is_over) = (self.labs.take(), self.is_over.clone());
        let here = Handle::current();
        let run = move || {
            here.block_on(async {
                tokio::select! {
                    tried = replay.run(lab.name()) => tried,
                    _ = is_over.wait_for(|is_over| *is_over) => Err(Error::interrupted()),
                }
            })
        };
        crate::aside(run).await.or_lab(|| "a replay ended without a result")?
    }
}

/// Returns a hash of the sources, the rules and the runtime.
fn fingerprint(sources: &str, course: &Course, runtime: RuntimeKind) -> String {
    sha256(format!("{sources}\n{}\n{runtime}", course.fingerprint))
}
