//! The programs of an exercise while they run: what they print and how they end comes as events,
//! each in its time.

use std::{collections::HashMap, pin::pin, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};

use crate::{
    Error, Result,
    commandline::argv,
    kernel::ExitStatus,
    runtime::{ByteStream, Command, Process, Runtime},
    time::{Nanos, now},
};

/// How long what a program printed may take to come after its end.
const DRAIN: Duration = Duration::from_millis(20);

/// How long a program may take to read what it is sent. Until then, a pipe keeps 64 KiB for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a program prints is kept up to so many bytes; one that prints without end must not fill this
/// program's memory.
const MOST_PRINTED: usize = 1 << 20;

/// Something a program did.
#[derive(Debug)]
pub enum ProgramEvent {
    /// It printed this.
    Printed(String),
    /// It ended. What its children print may come yet.
    Ended(ExitStatus),
    /// Its output is closed: nothing more will come of it.
    Silent,
    /// The lab lost sight of it.
    Lost(Error),
}

/// The programs' standard inputs, and news of them all.
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

    /// Starts one. Returns its number where the observer runs.
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

    /// The next news. Never ends; safe to cancel.
    pub async fn next(&mut self) -> (Nanos, String, ProgramEvent) {
        // The sender is held here, so the channel cannot close.
        self.news.recv().await.unwrap_or_else(|| unreachable!("the channel is open"))
    }

    /// ProgramEvent that is there already.
    pub fn try_next(&mut self) -> Option<(Nanos, String, ProgramEvent)> {
        self.news.try_recv().ok()
    }

    /// Writes to a program's standard input; says whether that was done in time. A program that has
    /// closed it hears nothing, which is for the checks to see; one that does not read hears no more.
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
            // An input that is closed already has ended all the same.
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

/// A command line, ready to be started.
pub fn words(line: &str) -> Command {
    Command::new(argv(line))
}

async fn listen(mut stream: ByteStream, tell: &impl Fn(ProgramEvent)) {
    let mut buffer = vec![0; 16 * 1024];
    let mut left = MOST_PRINTED;
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        // What comes after that is read, too, so that the program goes on, and forgotten.
        let kept = n.min(left);
        left -= kept;
        if kept > 0 {
            tell(ProgramEvent::Printed(String::from_utf8_lossy(&buffer[..kept]).into_owned()));
        }
    }
}
