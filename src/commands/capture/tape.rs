//! Records a lab's packets to a file, as fast as the machine can.

use std::{path::Path, pin::pin, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use netlab::{
    capture::{
        Counts, Interface, Recorder,
        recordings::{self, ENDED_EARLY},
    },
    observer::{Tape, TapeEvent},
    runtime::{LabState, Runtime},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::commands::lab::interrupted;

/// How many pieces may wait while the disk is slow: about 32 MiB.
const WAITING: usize = 128;
/// How long a lab may take to be gone once it can no longer be observed, and how often that is checked.
const LAB_ENDS: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(100);

/// Records until interrupted or until the lab ends. `open` creates the file once every segment is watched; with
/// `announce`, a line on standard output says that the recording has begun.
pub async fn record(
    runtime: &dyn Runtime,
    lab: &LabState,
    path: &Path,
    announce: bool,
    open: impl FnOnce(&[Interface]) -> Result<Recorder>,
) -> Result<()> {
    let name = &lab.plan.lab;
    // Caught from here on, so that whoever reads the announcement can already end the recording properly.
    let asked = interrupted();
    let (process, watch) = runtime.observe(name).await?;
    let mut tape = Tape::open(process, &watch.segments).await?;
    let recorder = open(&watch.segments)?.reserving();
    let mark = if announce { Some(recordings::mark(path)?) } else { None };
    if announce {
        println!("{}", super::record::RECORDING);
    }

    let mut counts = vec![Counts::default(); watch.segments.len()];
    let (pieces, received) = mpsc::channel(WAITING);
    let writer = netlab::aside(move || write(recorder, received));
    let watched = pass_on(&mut tape, pieces, &watch.segments, &mut counts, asked).await;
    let (mut recorder, written) = writer.await?;
    let with_lab = written.is_ok() && watched.is_err() && is_gone(runtime, name).await;
    let result = written.map_err(anyhow::Error::from).and(watched);

    let early = result.as_ref().err().filter(|_| !with_lab).map(|why| format!("{ENDED_EARLY}{why:#}"));
    let packets = recorder.count();
    let ended = recorder.end(&counts, early.as_deref());
    // Before the recorder is dropped: closing any descriptor of the file releases the lock on it.
    if let (Some(mark), None, Ok(())) = (&mark, &early, &ended) {
        mark.settle()?;
    }
    if !announce {
        let dropped: u64 = counts.iter().map(|counts| counts.dropped).sum();
        eprintln!("{} in {}{}", super::counted(packets, "packet"), path.display(), super::dropped(dropped));
    }
    drop(recorder);
    result.and(ended.map_err(Into::into))
}

/// Passes packets on until the end is requested and every packet before it has come, or until the writer is gone.
async fn pass_on(
    tape: &mut Tape,
    pieces: mpsc::Sender<(u64, Bytes)>,
    segments: &[Interface],
    counts: &mut [Counts],
    asked: impl Future<Output = ()>,
) -> Result<()> {
    let mut asked = pin!(asked);
    let mut ends = false;
    loop {
        let taped = tokio::select! {
            taped = tape.next() => taped?,
            () = asked.as_mut(), if !ends => {
                tape.finish();
                ends = true;
                continue;
            }
        };
        match taped {
            TapeEvent::Packets(count, blocks) => {
                if pieces.send((count, blocks)).await.is_err() {
                    // The writer has failed and reports why.
                    return Ok(());
                }
            }
            TapeEvent::Counted(segment, now) => {
                let (Some(counts), Some(segment)) = (counts.get_mut(segment), segments.get(segment)) else {
                    continue;
                };
                let lost = now.dropped.saturating_sub(counts.dropped);
                if lost > 0 {
                    eprintln!("observation lost: {lost} packets on segment {} were dropped", segment.name);
                }
                *counts = now;
            }
            TapeEvent::ObservationLost(why) => eprintln!("observation lost: {why}"),
            TapeEvent::Done => return Ok(()),
        }
    }
}

/// Writes the pieces as they come, on a thread that may wait for the disk. Returns the recorder in any case.
fn write(mut recorder: Recorder, mut pieces: mpsc::Receiver<(u64, Bytes)>) -> (Recorder, netlab::Result<()>) {
    while let Some((count, blocks)) = pieces.blocking_recv() {
        if let Err(error) = recorder.blocks(&blocks, count) {
            return (recorder, Err(error));
        }
    }
    (recorder, Ok(()))
}

/// Returns whether the lab goes away soon; its observer notices first.
async fn is_gone(runtime: &dyn Runtime, lab: &str) -> bool {
    let deadline = Instant::now() + LAB_ENDS;
    while Instant::now() < deadline {
        if let Ok(None) = runtime.lab(lab).await {
            return true;
        }
        sleep(LOOK).await;
    }
    false
}
