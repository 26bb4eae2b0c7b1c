//! The receiving end of a recording observer: packets in large pieces, ready to be written.

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

use super::{
    client::{READY, REQUESTS, epitaph, read_text, write},
    protocol::{self, MAX_FRAME, Message, Task, decode_json, encode_json},
};
use crate::{
    Error, Result,
    capture::{Counts, Interface},
    runtime::{ByteStream, Handle, Process},
};

/// A lab's segments under recording. Unlike with an [`super::Observer`], nothing is dropped here: a slow
/// reader holds up the observer, which counts what is lost because of it.
pub struct Tape {
    frames: FramedRead<ByteStream, LengthDelimitedCodec>,
    /// `None` once the end was requested.
    requests: Option<mpsc::Sender<Vec<u8>>>,
    /// The observer's error output and handle, taken when it has ended.
    observer: Option<(JoinHandle<String>, Box<dyn Handle>)>,
}

/// An event of a recording.
#[derive(Debug)]
pub enum TapeEvent {
    /// A number of packets, as Enhanced Packet Blocks.
    Packets(u64, Bytes),
    /// The counts of that segment's packets so far.
    Counted(usize, Counts),
    /// A segment can no longer be seen, and why.
    ObservationLost(String),
    /// Everything until the requested end has arrived.
    Done,
}

impl Tape {
    /// Makes an observer record these segments. From now on no packet is missed without being counted.
    pub async fn open(process: Process, segments: &[Interface]) -> Result<Self> {
        let Process { stdin, stdout, stderr, handle, .. } = process;
        let (requests, to_send) = mpsc::channel(REQUESTS);
        tokio::spawn(write(stdin, to_send));
        let last_words = tokio::spawn(read_text(stderr));
        let codec = LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec();
        let mut task = Vec::new();
        encode_json(&Task::Record { record: segments.to_vec() }, &mut task);
        // Fails only if the observer has ended, and then its answer fails as well.
        let _ = requests.send(task).await;
        let mut tape = Self {
            frames: FramedRead::new(stdout, codec),
            requests: Some(requests),
            observer: Some((last_words, handle)),
        };
        let ready = async {
            loop {
                if let Message::Ready { .. } = decode_json(&tape.frame().await?)? {
                    return Ok(tape);
                }
            }
        };
        match timeout(READY, ready).await {
            Ok(tape) => tape,
            Err(_) => Err(Error::lab(format!("the observer was not ready after {} s", READY.as_secs()))),
        }
    }

    /// Requests the end: packets that pass from now on are not needed.
    pub fn finish(&mut self) {
        self.requests = None;
    }

    /// Returns the next event. Safe to cancel.
    pub async fn next(&mut self) -> Result<TapeEvent> {
        loop {
            let mut frame = self.frame().await?;
            if let Some((count, blocks)) = protocol::decode_blocks(&frame) {
                frame.advance(frame.len() - blocks.len());
                return Ok(TapeEvent::Packets(count.into(), frame));
            }
            match decode_json(&frame)? {
                Message::Counted { segment, received, dropped } => {
                    return Ok(TapeEvent::Counted(segment.into(), Counts { received, dropped }));
                }
                Message::ObservationLost { why, .. } => return Ok(TapeEvent::ObservationLost(why)),
                Message::Done { .. } => return Ok(TapeEvent::Done),
                _ => {}
            }
        }
    }

    async fn frame(&mut self) -> Result<Bytes> {
        let lost = Error::lab("the observer is lost");
        match self.frames.next().await {
            Some(Ok(frame)) => Ok(frame.freeze()),
            Some(Err(error)) => Err(lost.caused_by(error)),
            None => Err(match self.observer.take() {
                Some((last_words, handle)) => lost.caused_by(epitaph(last_words, handle).await),
                None => lost,
            }),
        }
    }
}
