//! The receiving end: a lab's observer, as its reader uses it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

use super::{
    ProcessRow, Sightings,
    protocol::{Frame, MAX_FRAME, Message, Request, encode_json},
    sightings::{self, Sighter},
};
use crate::{
    Error, Result,
    capture::RawPacket,
    kernel::SocketRow,
    runtime::{ByteStream, Handle, Process, Watch, WatchedHost},
    time::Nanos,
};

/// How long an observer may take to start watching.
pub(super) const READY: Duration = Duration::from_secs(10);
/// How long an observer may take to answer. Hosts short of resources can be slow to read.
const ANSWER: Duration = Duration::from_secs(30);
/// Maximum number of requests that wait to be written. Each has a caller that waits for its answer.
pub(super) const REQUESTS: usize = 16;
/// How long to wait for the error output of an observer that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// An observation; observations arrive in the order in which they were made.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A packet passed on a segment.
    Packet(RawPacket),
    /// A host's complete process table; empty once the host is gone.
    Processes {
        /// When.
        at: Nanos,
        /// The host.
        host: String,
        /// The whole table.
        rows: Vec<ProcessRow>,
    },
    /// A host's complete socket table; empty once the host is gone.
    Sockets {
        /// When.
        at: Nanos,
        /// The host.
        host: String,
        /// The whole table.
        rows: Vec<SocketRow>,
    },
    /// A host is gone; its tables, now empty, came before this.
    Gone {
        /// When.
        at: Nanos,
        /// The host.
        host: String,
    },
    /// Something could not be seen, and why: packets dropped, a segment gone.
    ObservationLost {
        /// When.
        at: Nanos,
        /// Why.
        why: String,
    },
}

/// A lab under observation. Dropping this ends the observer.
pub struct Observer {
    frames: mpsc::Sender<Vec<u8>>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
}

/// The pending answers, and why there will be no more.
#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    lost: Option<String>,
}

/// A pid if one was requested; an error as text.
type Answer = Result<Option<i32>, String>;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, id: u64, answer: Answer) {
        if let Some(waiting) = self.lock().waiting.remove(&id) {
            // The caller may have stopped waiting.
            let _ = waiting.send(answer);
        }
    }
}

impl Observer {
    /// Tells an observer what to watch and waits until it does. What it sees arrives on the channel, which
    /// ends when the observer does; [`Observer::lost`] then says why.
    pub async fn attach(process: Process, watch: &Watch) -> Result<(Self, Sightings)> {
        let Process { stdin, stdout, stderr, handle, .. } = process;
        let (frames, to_send) = mpsc::channel(REQUESTS);
        let (seen, to_read) = sightings::queue();
        let (ready, is_ready) = oneshot::channel();
        let shared = Arc::new(Shared::default());

        tokio::spawn(write(stdin, to_send));
        let last_words = tokio::spawn(read_text(stderr));
        let reader =
            Reader { seen, segments: watch.segments.len(), ready: Some(ready), shared: shared.clone() };
        tokio::spawn(reader.run(stdout, last_words, handle));

        let observer = Self { frames, shared, next_id: AtomicU64::new(0) };
        let watching = async {
            observer.send(watch).await;
            is_ready.await
        };
        match timeout(READY, watching).await {
            Ok(Ok(())) => Ok((observer, to_read)),
            Ok(Err(_)) => Err(observer.lost()),
            Err(_) => Err(Error::lab(format!("the observer was not ready after {} s", READY.as_secs()))),
        }
    }

    /// Samples every host now. When this returns, every table that changed (in processor time, too) and every
    /// packet so far is on the channel.
    pub async fn sample(&self) -> Result<()> {
        self.ask(|id| Request::Sample { id }).await.map(drop)
    }

    /// Sends a signal to a process of a host, given the pid on that host.
    pub async fn signal(&self, host: &str, pid: i32, signal: i32) -> Result<()> {
        self.ask(|id| Request::Signal { id, host: host.to_owned(), pid, signal }).await.map(drop)
    }

    /// Returns a process's pid on its host, given its pid in the observer's PID namespace.
    pub async fn resolve(&self, outer: i32) -> Result<i32> {
        let pid = self.ask(|id| Request::Resolve { id, outer }).await?;
        pid.ok_or_else(|| Error::lab("the observer's answer is not a pid"))
    }

    /// Watches a host that was started again. When this returns, its tables are on the channel.
    pub async fn watch(&self, host: &WatchedHost) -> Result<()> {
        self.ask(|id| Request::Watch { id, host: host.clone() }).await.map(drop)
    }

    /// Returns why nothing can be seen any more.
    pub fn lost(&self) -> Error {
        match &self.shared.lock().lost {
            Some(why) => Error::lab("the observer is lost").caused_by(why.as_str()),
            None => Error::lab("the observer is lost"),
        }
    }

    async fn ask(&self, request: impl FnOnce(u64) -> Request) -> Result<Option<i32>> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            // Once it has ended, no answer will come, so none must be waited for.
            if state.lost.is_some() {
                drop(answer);
            } else {
                state.waiting.insert(id, answer);
            }
        }
        let ask = async {
            self.send(&request(id)).await;
            answered.await
        };
        match timeout(ANSWER, ask).await {
            Ok(Ok(answer)) => answer.map_err(Error::lab),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => {
                // Later requests must not wait as long again.
                let mut state = self.shared.lock();
                state.lost.get_or_insert_with(|| format!("no answer for {} s", ANSWER.as_secs()));
                state.waiting.clear();
                drop(state);
                Err(self.lost())
            }
        }
    }

    async fn send(&self, message: &impl Serialize) {
        let mut frame = Vec::new();
        encode_json(message, &mut frame);
        // Fails only if the observer has ended, and then its answer fails as well.
        let _ = self.frames.send(frame).await;
    }
}

/// Writes frames until the observer is dropped, then ends its input.
pub(super) async fn write(
    mut stdin: Box<dyn AsyncWrite + Send + Unpin>,
    mut frames: mpsc::Receiver<Vec<u8>>,
) {
    while let Some(frame) = frames.recv().await {
        if stdin.write_all(&frame).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
    let _ = stdin.shutdown().await;
}

/// Returns the observer's standard error, limited to a few lines.
pub(super) async fn read_text(stderr: ByteStream) -> String {
    let mut text = Vec::new();
    let _ = stderr.take(16 << 10).read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).trim().to_owned()
}

struct Reader {
    seen: Sighter,
    /// Number of segments watched.
    segments: usize,
    ready: Option<oneshot::Sender<()>>,
    shared: Arc<Shared>,
}

impl Reader {
    /// Reads frames until the observer ends, then records why and notifies everyone who waits.
    async fn run(mut self, stdout: ByteStream, last_words: JoinHandle<String>, handle: Box<dyn Handle>) {
        let codec = LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec();
        let mut frames = FramedRead::new(stdout, codec);
        let mut broken = None;
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(|e| e.to_string());
            match frame.and_then(|f| self.decode(&f)) {
                Ok(frame) => self.take(frame),
                Err(why) => {
                    broken = Some(why);
                    break;
                }
            }
        }
        drop(frames);
        let why = match broken {
            Some(why) => why,
            None => epitaph(last_words, handle).await,
        };
        let mut state = self.shared.lock();
        state.lost = Some(why);
        state.waiting.clear();
    }

    fn decode(&self, frame: &[u8]) -> Result<Frame, String> {
        match Frame::decode(frame).map_err(|e| e.to_string())? {
            Frame::Packet(packet) if usize::from(packet.segment) >= self.segments => {
                Err(format!("a packet of segment {}, which is not watched", packet.segment))
            }
            frame => Ok(frame),
        }
    }

    fn take(&mut self, frame: Frame) {
        let seen = match frame {
            Frame::Packet(packet) => Seen::Packet(packet),
            Frame::Message(Message::Processes { at, host, rows }) => Seen::Processes { at, host, rows },
            Frame::Message(Message::Sockets { at, host, rows }) => Seen::Sockets { at, host, rows },
            Frame::Message(Message::Gone { at, host }) => Seen::Gone { at, host },
            Frame::Message(Message::ObservationLost { at, why }) => Seen::ObservationLost { at, why },
            Frame::Message(Message::Ready { .. }) => {
                self.ready.take().map(|ready| ready.send(()));
                return;
            }
            // Only a recording observer counts.
            Frame::Message(Message::Counted { .. }) => return,
            Frame::Message(Message::Done { id }) => return self.shared.answer(id, Ok(None)),
            Frame::Message(Message::Pid { id, pid }) => return self.shared.answer(id, Ok(Some(pid))),
            Frame::Message(Message::Failed { id, why }) => return self.shared.answer(id, Err(why)),
        };
        self.seen.put(seen);
    }
}

/// Returns why an observer ended: the last thing it wrote, or else its exit status.
pub(super) async fn epitaph(last_words: JoinHandle<String>, mut handle: Box<dyn Handle>) -> String {
    let said = timeout(LAST_WORDS, last_words).await;
    if let Ok(Ok(text)) = said
        && !text.is_empty()
    {
        return text.strip_prefix("error: ").unwrap_or(&text).to_owned();
    }
    match timeout(LAST_WORDS, handle.wait()).await {
        Ok(Ok(status)) => status.to_string(),
        _ => "its output ended".to_owned(),
    }
}
