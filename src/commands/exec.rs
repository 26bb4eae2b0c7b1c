//! `netlab exec` and `netlab shell`: run a program on a host as if it ran here.

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

/// Once the program has ended, output that stays quiet for this long is complete.
const QUIET: Duration = Duration::from_millis(500);

/// How long a program may take to end once its terminal is closed. After that it is left running, as one meant to
/// outlive its terminal (nohup(1)).
const HANG_UP: Duration = Duration::from_secs(2);

/// The most output that can still be in buffers when a program ends, in bytes.
const ON_ITS_WAY: usize = 16 << 20;

/// Run a command on a host. Its input, output, exit code and ^C pass through.
///
/// Exits with the command's exit code, or with 128 + N if signal N ended it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    lab: LabArgs,
    /// Run it in the background; `netlab logs HOST` shows what it prints.
    #[arg(short, long)]
    detach: bool,
    /// Run it in a terminal of its own.
    #[arg(short, long, conflicts_with = "detach")]
    tty: bool,
    /// The host's name; `netlab status` lists them.
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

/// Reports which limits the lab's hosts have reached since `before`.
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
    /// The host's name; `netlab status` lists them.
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
    // May fail, so it comes before the program starts.
    let (read, mut input) = read_stdin()?;
    let Process { pid, mut stdin, stdout, stderr, mut handle } = runtime.exec(lab, host, command).await?;
    // Raw only with a terminal there: it makes ^C, ^D and line editing the host's business.
    let raw = command.terminal.and_then(|_| RawMode::enter());

    // Fails only if the thread has ended.
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
            // What ^C on a terminal does.
            _ = interrupts.recv() => signal_group(runtime, lab, host, pid, libc::SIGINT).await?,
            // Like timeout(1), which leaves no process behind either.
            _ = terminations.recv() => signal_group(runtime, lab, host, pid, libc::SIGTERM).await?,
            // What closing a terminal does.
            _ = hangups.recv() => {
                left_alone.as_mut().reset(Instant::now() + HANG_UP);
                signal_group(runtime, lab, host, pid, libc::SIGHUP).await?;
            }
            () = &mut left_alone => break ExitStatus::Signaled(libc::SIGHUP),
            // With a pipe the program would get SIGPIPE anyway; not every engine uses one.
            () = reader_left.notified() => signal_group(runtime, lab, host, pid, libc::SIGPIPE).await?,
            _ = resizes.recv() => handle.resize(terminal::size()).await?,
        }
    };
    feed.abort();
    drain(async { drop(tokio::join!(output, errors)) }, &copied).await;
    drop(raw);
    Ok(exit_code(status))
}

/// Waits for output still in buffers when a program has ended. A process left in the background may hold the
/// streams open; what that prints later is not this command's output.
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

/// Sends a signal to the program's whole process group. Each program that we start leads one.
async fn signal_group(runtime: &dyn Runtime, lab: &str, host: &str, outer: i32, signal: i32) -> Result<()> {
    let session = Session::open(runtime, lab).await?;
    // A program that is already gone needs no signal.
    let Ok(leader) = session.observer.resolve(outer).await else { return Ok(()) };
    for process in session.tables.processes(host).iter().filter(|p| p.pgid == leader) {
        let _ = send(&session, host, process.pid, signal).await;
    }
    Ok(())
}

/// Sends a signal to a process. A stopped process is continued, since it would not act on the signal before.
async fn send(session: &Session, host: &str, pid: i32, signal: i32) -> netlab::Result<()> {
    session.observer.signal(host, pid, signal).await?;
    let is_stopped = session.tables.processes(host).iter().any(|p| p.pid == pid && p.state == 'T');
    if is_stopped { session.observer.signal(host, pid, libc::SIGCONT).await } else { Ok(()) }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code())
}

/// Reads standard input in pieces on a thread of its own: a read of a terminal cannot be cancelled. The thread starts
/// reading when the returned sender is used.
fn read_stdin() -> netlab::Result<(std::sync::mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>)> {
    let (begin, start) = std::sync::mpsc::channel();
    let (send, receive) = mpsc::channel(4);
    let reading = std::thread::Builder::new().spawn(move || {
        let mut buffer = vec![0; 32 * 1024];
        if start.recv().is_err() {
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

/// Copies until either side ends, and counts the bytes. Returns whether it copied everything: false if our
/// reader went away (`| head`).
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
