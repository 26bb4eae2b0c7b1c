//! `netlab exec` and `netlab shell`: a program on a host, as if it ran here.

use std::{
    io::{IsTerminal, Read, Write},
    pin::pin,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use netlab::{
    commandline::in_lab,
    kernel::ExitStatus,
    observer::Session,
    runtime::{Command, LimitReached, Process, Runtime, reached},
    topology::Plan,
};
use nix::libc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};

use super::lab::{LabArgs, block_on};
use crate::ui::{
    self,
    terminal::{self, RawMode},
};

/// Output that does not come for so long, after the program has ended, does not come any more.
const QUIET: Duration = Duration::from_millis(500);

/// How long a program may take to end once its terminal is closed, before it is left alone as one that is to outlive
/// that (nohup(1)).
const HANG_UP: Duration = Duration::from_secs(2);

/// What is on its way when a program ends is in buffers, which do not hold more than this.
const ON_ITS_WAY: usize = 16 << 20;

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
            let (runtime, lab) = self.lab.open_host(&self.host).await?;
            let mut command = Command::new(self.command);
            if self.detach {
                runtime.start(&self.lab.lab, &self.host, &command).await?;
                let logs = in_lab(&format!("netlab logs {}", self.host), &self.lab.lab);
                eprintln!("started; `{logs}` shows what it prints");
                return Ok(ExitCode::SUCCESS);
            }
            if self.tty {
                command.terminal = Some(terminal::size());
            }
            let before = runtime.limits_reached(&lab.plan).await;
            let code = pass_through(runtime.as_ref(), &self.lab.lab, &self.host, &command).await;
            say_what_was_met(runtime.as_ref(), &lab.plan, &before).await;
            code
        })
    }
}

/// Says which limits the lab's hosts have met meanwhile.
pub(super) async fn say_what_was_met(runtime: &dyn Runtime, plan: &Plan, before: &[LimitReached]) {
    for met in reached::since(before, runtime.limits_reached(plan).await) {
        eprintln!("netlab: {met}");
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
    let mut hangups = signal(SignalKind::hangup())?;
    let mut left_alone = pin!(sleep(Duration::MAX));
    let mut resizes = signal(SignalKind::window_change())?;
    // Before anything runs that it would be for.
    let (read, mut input) = read_stdin()?;
    let Process { pid, mut stdin, stdout, stderr, mut handle } = runtime.exec(lab, host, command).await?;
    // Raw only with a terminal there: it makes ^C, ^D and line editing the host's business.
    let raw = command.terminal.and_then(|_| RawMode::enter());

    // Fails only where the thread has ended.
    let _ = read.send(());
    let feed = async move {
        while let Some(bytes) = input.recv().await {
            if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                return;
            }
        }
        let _ = stdin.shutdown().await;
    };
    let feed = tokio::spawn(feed);
    let copied = Arc::new(AtomicUsize::new(0));
    let reader_left = Arc::new(Notify::new());
    let output = copy(stdout, std::io::stdout(), copied.clone());
    let left = reader_left.clone();
    let output = tokio::spawn(async move {
        if !output.await {
            left.notify_one();
        }
    });
    let errors = tokio::spawn(copy(stderr, std::io::stderr(), copied.clone()));

    let status = loop {
        tokio::select! {
            status = handle.wait() => break status?,
            // As ^C on a terminal does.
            _ = interrupts.recv() => signal_group(runtime, lab, host, pid, libc::SIGINT).await?,
            // As timeout(1) does, which leaves nobody behind either.
            _ = terminations.recv() => signal_group(runtime, lab, host, pid, libc::SIGTERM).await?,
            // As a terminal does that is closed.
            _ = hangups.recv() => {
                left_alone.as_mut().reset(Instant::now() + HANG_UP);
                signal_group(runtime, lab, host, pid, libc::SIGHUP).await?;
            }
            () = &mut left_alone => break ExitStatus::Signaled(libc::SIGHUP),
            // A pipe would tell the program itself, by SIGPIPE; not every engine has one.
            () = reader_left.notified() => signal_group(runtime, lab, host, pid, libc::SIGPIPE).await?,
            _ = resizes.recv() => handle.resize(terminal::size()).await?,
        }
    };
    feed.abort();
    drain(async { drop(tokio::join!(output, errors)) }, &copied).await;
    drop(raw);
    Ok(exit_code(status))
}

/// Waits for what is on its way when a program has ended. One left behind in the background may hold the
/// streams open, and what that prints later is not this command's.
async fn drain(streams: impl Future<Output = ()>, copied: &AtomicUsize) {
    let mut streams = pin!(streams);
    let at_end = copied.load(Ordering::Relaxed);
    let mut before = at_end;
    while timeout(QUIET, &mut streams).await.is_err() {
        let now = copied.load(Ordering::Relaxed);
        if now == before || now - at_end > ON_ITS_WAY {
            return;
        }
        before = now;
    }
}

/// Sends a signal to the program's whole process group. A program that we start leads one.
async fn signal_group(runtime: &dyn Runtime, lab: &str, host: &str, outer: i32, signal: i32) -> Result<()> {
    let session = Session::open(runtime, lab).await?;
    // One that is gone meanwhile needs no signal.
    let Ok(leader) = session.observer.resolve(outer).await else { return Ok(()) };
    for process in session.tables.processes(host).iter().filter(|p| p.pgid == leader) {
        let _ = send(&session, host, process.pid, signal).await;
    }
    Ok(())
}

/// Sends a signal to a process, and has one go on that is stopped: until then it would not come to know of it.
async fn send(session: &Session, host: &str, pid: i32, signal: i32) -> netlab::Result<()> {
    session.observer.signal(host, pid, signal).await?;
    let is_stopped = session.tables.processes(host).iter().any(|p| p.pid == pid && p.state == 'T');
    if is_stopped { session.observer.signal(host, pid, libc::SIGCONT).await } else { Ok(()) }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code())
}

/// Standard input in pieces, from a thread of its own: a read of a terminal cannot be cancelled. It begins to read when
/// it is told to.
fn read_stdin() -> netlab::Result<(std::sync::mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>)> {
    let (begin, told) = std::sync::mpsc::channel();
    let (send, receive) = mpsc::channel(4);
    let reading = std::thread::Builder::new().spawn(move || {
        let mut buffer = vec![0; 32 * 1024];
        if told.recv().is_err() {
            return;
        }
        while let Ok(n @ 1..) = std::io::stdin().lock().read(&mut buffer) {
            if send.blocking_send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    reading.map_err(|error| {
        netlab::Error::lab("cannot start a thread to read the standard input").caused_by(error)
    })?;
    Ok((begin, receive))
}

/// Copies until either side ends, and counts what it has copied. Says whether it was all; not if a reader
/// of ours went away (`| head`).
async fn copy(mut from: netlab::runtime::ByteStream, mut to: impl Write, copied: Arc<AtomicUsize>) -> bool {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if let Err(error) = to.write_all(&buffer[..n]).and_then(|()| to.flush()) {
            ui::lost(error);
            return false;
        }
        copied.fetch_add(n, Ordering::Relaxed);
    }
    true
}
