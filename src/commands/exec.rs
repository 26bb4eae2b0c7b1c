//! `netlab exec` and `netlab shell`: a program on a host, as if it ran here.

use std::{
    io::{IsTerminal, Read, Write},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    observer::Session,
    runtime::{Command, ExitStatus, Process, Runtime},
};
use nix::libc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::lab::{LabArgs, block_on};
use crate::ui::terminal::{self, RawMode};

/// Run a command on a host: its streams, its exit code and ^C pass through.
///
/// Exits with the command's own code, or 128 + N when signal N ended it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    lab: LabArgs,
    /// Leave it running by itself; what it prints is then in `netlab logs HOST`.
    #[arg(short, long)]
    detach: bool,
    /// Give it a terminal of its own.
    #[arg(short, long, conflicts_with = "detach")]
    tty: bool,
    /// The host, as `netlab status` names it.
    host: String,
    /// The command and its arguments, after `--`.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        block_on(async {
            let (runtime, _) = self.lab.open_host(&self.host).await?;
            let mut command = Command::new(self.command);
            if self.detach {
                runtime.start(&self.lab.lab, &self.host, &command).await?;
                return Ok(ExitCode::SUCCESS);
            }
            if self.tty {
                command.terminal = Some(terminal::size());
            }
            pass_through(runtime.as_ref(), &self.lab.lab, &self.host, &command).await
        })
    }
}

/// Open a shell on a host, in a real terminal.
#[derive(Debug, clap::Args)]
pub struct ShellArgs {
    #[command(flatten)]
    lab: LabArgs,
    /// The host, as `netlab status` names it.
    host: String,
}

impl ShellArgs {
    pub fn run(self) -> Result<ExitCode> {
        block_on(async {
            let (runtime, _) = self.lab.open_host(&self.host).await?;
            let mut command = Command::new(["bash"]);
            command.terminal = std::io::stdin().is_terminal().then(terminal::size);
            pass_through(runtime.as_ref(), &self.lab.lab, &self.host, &command).await
        })
    }
}

/// Runs a program with this program's own streams and signals.
async fn pass_through(runtime: &dyn Runtime, lab: &str, host: &str, command: &Command) -> Result<ExitCode> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let mut resizes = signal(SignalKind::window_change())?;
    let Process { pid, mut stdin, stdout, stderr, mut handle } = runtime.exec(lab, host, command).await?;
    // Raw only with a terminal there: it makes ^C, ^D and line editing the host's business.
    let raw = command.terminal.and_then(|_| RawMode::enter());

    let mut input = read_stdin();
    let feed = async move {
        while let Some(bytes) = input.recv().await {
            if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                return;
            }
        }
        let _ = stdin.shutdown().await;
    };
    let feed = tokio::spawn(feed);
    let output = tokio::spawn(copy(stdout, std::io::stdout()));
    let errors = tokio::spawn(copy(stderr, std::io::stderr()));

    let status = loop {
        tokio::select! {
            status = handle.wait() => break status?,
            _ = interrupts.recv() => pass_signal(runtime, lab, host, pid, libc::SIGINT).await?,
            _ = terminations.recv() => pass_signal(runtime, lab, host, pid, libc::SIGTERM).await?,
            _ = resizes.recv() => handle.resize(terminal::size()).await?,
        }
    };
    feed.abort();
    // A program left behind in the background may hold the streams open: what it prints later is
    // not this command's, so only what is on its way already is waited for.
    let drained = async { tokio::join!(output, errors) };
    let _ = tokio::time::timeout(std::time::Duration::from_millis(500), drained).await;
    drop(raw);
    Ok(exit_code(status))
}

/// Sends a signal to the program on the host; one that is gone meanwhile needs none.
async fn pass_signal(runtime: &dyn Runtime, lab: &str, host: &str, outer: i32, signal: i32) -> Result<()> {
    let session = Session::open(runtime, lab).await?;
    if let Ok(pid) = session.observer.resolve(outer).await {
        session.observer.signal(host, pid, signal).await?;
    }
    Ok(())
}

fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code())
}

/// Standard input in pieces, from a thread of its own: a read of a terminal cannot be cancelled.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(n @ 1..) = std::io::stdin().lock().read(&mut buffer) {
            if send.blocking_send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    receive
}

/// Copies until either side ends; a reader of ours that went away (`| head`) is an end, too.
async fn copy(mut from: netlab::runtime::ByteStream, mut to: impl Write) {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..n]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}
