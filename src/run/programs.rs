//! The programs of an exercise while they run. What they print and how they end arrives as events, each with its
//! time.

use std::{collections::HashMap, pin::pin, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};

use crate::{
    Error, Result,
    kernel::ExitStatus,
    runtime::{ByteStream, Command, Process, Runtime},
    time::{Nanos, now},
};

/// How long after a program's end its output may still arrive.
const DRAIN: Duration = Duration::from_millis(20);

/// How long a program may take to read what it is sent. Until then, the pipe holds up to 64 KiB.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many bytes of a program's output are kept. A program that prints without end must not fill netlab's memory.
const MOST_PRINTED: usize = 1 << 20;

/// Something a program did.
#[derive(Debug)]
pub enum ProgramEvent {
    /// It printed this.
    Printed(String),
    /// It ended. Its children may still print.
    Ended(ExitStatus),
    /// Its output is closed: nothing more will come from it.
    Silent,
    /// The lab can no longer observe it.
    Lost(Error),
}

/// The programs' standard inputs, and the events of all of them.
pub struct Programs {
    inputs: HashMap<String, Option<Box<dyn AsyncWrite + Send + Unpin>>>,
    news: mpsc::UnboundedReceiver<(Nanos, String, ProgramEvent)>,
    sender: mpsc::UnboundedSender<(Nanos, String, ProgramEvent)>,
}

impl Programs {
    /// None yet.
    pub fn new() -> Self {
        let (sender, news) = mpsc::unbounded_channel();
        Self { inputs: HashMap::new(), news, sender }
    }

    /// Starts one. Returns its PID in the observer's PID namespace.
    pub async fn start(
        &mut self,
        name: &str,
        runtime: &dyn Runtime,
        lab: &str,
        host: &str,
        command: &Command,
    ) -> Result<i32> {
        let Process { pid, stdin, stdout, stderr, mut handle } = runtime.exec(lab, host, command).await?;
        self.inputs.insert(name.to_owned(), Some(stdin));
        let (name, sender) = (name.to_owned(), self.sender.clone());
        tokio::spawn(async move {
            let tell = |what| drop(sender.send((now(), name.clone(), what)));
            let streams = async { tokio::join!(listen(stdout, &tell), listen(stderr, &tell)) };
            let mut streams = pin!(streams);
            let (status, read) = handle.wait_and_drain(streams.as_mut(), DRAIN).await;
            tell(status.map_or_else(ProgramEvent::Lost, ProgramEvent::Ended));
            if read.is_none() {
                streams.await;
            }
            tell(ProgramEvent::Silent);
        });
        Ok(pid)
    }

    /// Waits for the next event and returns it. Safe to cancel.
    pub async fn next(&mut self) -> (Nanos, String, ProgramEvent) {
        // The sender is held here, so the channel cannot close.
        self.news.recv().await.unwrap_or_else(|| unreachable!("the channel is open"))
    }

    /// Returns an event that has already arrived.
    pub fn try_next(&mut self) -> Option<(Nanos, String, ProgramEvent)> {
        self.news.try_recv().ok()
    }

    /// Writes to a program's standard input. Returns whether that was done in time. A program that has closed its input
    /// gets nothing, which the checks will show; one that does not read gets nothing further.
    pub async fn write(&mut self, name: &str, bytes: &[u8]) -> Result<bool> {
        let Some(input) = self.input(name)? else { return Ok(true) };
        let written = async {
            input.write_all(bytes).await?;
            input.flush().await
        };
        let written = timeout(PATIENCE, written).await;
        if !matches!(written, Ok(Ok(()))) {
            self.inputs.insert(name.to_owned(), None);
        }
        Ok(written.is_ok())
    }

    /// Ends a program's standard input.
    pub async fn end_input(&mut self, name: &str) -> Result<()> {
        if let Some(input) = self.input(name)? {
            // An input that is already closed has ended, too.
            let _ = timeout(PATIENCE, input.shutdown()).await;
        }
        self.inputs.insert(name.to_owned(), None);
        Ok(())
    }

    fn input(&mut self, name: &str) -> Result<Option<&mut Box<dyn AsyncWrite + Send + Unpin>>> {
        let input = self.inputs.get_mut(name);
        input.map(Option::as_mut).ok_or_else(|| {
            Error::usage(format!("a step names the program \"{name}\", which was not started"))
        })
    }
}

/// Passes on what a stream brings, as text. A character whose bytes come in two pieces waits for the second one.
async fn listen(mut stream: ByteStream, tell: &impl Fn(ProgramEvent)) {
    let mut buffer = vec![0; 16 * 1024];
    let (mut waiting, mut left) = (Vec::new(), MOST_PRINTED);
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        // Further output is read and dropped, so that the program can go on.
        let kept = n.min(left);
        left -= kept;
        waiting.extend_from_slice(&buffer[..kept]);
        let rest = waiting.split_off(waiting.len() - incomplete(&waiting));
        if !waiting.is_empty() {
            tell(ProgramEvent::Printed(String::from_utf8_lossy(&waiting).into_owned()));
        }
        waiting = rest;
    }
    if !waiting.is_empty() {
        tell(ProgramEvent::Printed(String::from_utf8_lossy(&waiting).into_owned()));
    }
}

/// Returns how many bytes at the end begin a character of UTF-8 that is not there yet: at most three.
fn incomplete(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    (0..tail.len())
        .find(|start| {
            std::str::from_utf8(&tail[*start..])
                .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
        })
        .map_or(0, |start| tail.len() - start)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_character_may_come_in_pieces() {
        let (mut program, stream) = tokio::io::duplex(64);
        let text = Mutex::new(Vec::new());
        let tell = |event| match event {
            ProgramEvent::Printed(piece) => text.lock().unwrap().push(piece),
            other => panic!("{other:?}"),
        };
        let write = async {
            for piece in [&b"\xc2"[..], b"\xbfqu\xc3", b"\xa9? \xff\xe2\x82", b"\xac \xf0\x9f"] {
                program.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(program);
        };
        tokio::join!(write, listen(Box::new(stream), &tell));
        assert_eq!(text.into_inner().unwrap().concat(), "¿qué? \u{fffd}€ \u{fffd}");
    }

    #[test]
    fn only_the_beginning_of_a_character_waits() {
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"ab", 0),
            ("é".as_bytes(), 0),
            (b"a\xc3", 1),
            (b"\xf0\x9f\x98", 3),
            (b"\xff", 0),
        ] {
            assert_eq!(incomplete(bytes), expected, "{bytes:?}");
        }
    }
}
