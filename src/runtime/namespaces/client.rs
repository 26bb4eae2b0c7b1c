//! The client's side of a keeper's socket, and the programs started through it.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use async_trait::async_trait;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::signal::{Signal, kill},
    sys::socket::{
        AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt::PeerCredentials,
    },
    unistd::{Pid, geteuid},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
    net::unix::pipe,
};

use super::{
    protocol::{self, Reply, Request},
    state::Found,
};
use crate::{
    Error, Result,
    error::Context,
    kernel::{ExitStatus, sys},
    runtime::{Command, Handle, Process, TerminalSize},
};

/// A connection to a lab's keeper.
pub struct Connection(AsyncFd<OwnedFd>);

impl Connection {
    /// Connects; `None` where no keeper listens.
    pub fn open(folder: &Found) -> Result<Option<Self>> {
        let Some(path) = folder.socket()? else { return Ok(None) };
        let what = || format!("cannot reach the lab's keeper in {}", folder.folder().path().display());
        let open = || {
            let kind = (AddressFamily::Unix, SockType::SeqPacket);
            let socket = socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, None)?;
            connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new(&path)?)?;
            fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            nix::Result::Ok(socket)
        };
        let socket = match open() {
            Err(Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTDIR) => return Ok(None),
            other => other.or_lab(what)?,
        };
        // The listener receives the caller's terminal and descriptors.
        let keeper = getsockopt(&socket, PeerCredentials).or_lab(what)?;
        if keeper.uid() != geteuid().as_raw() {
            return Err(Error::lab(what()).caused_by(format!("it runs as the user with id {}", keeper.uid())));
        }
        Ok(Some(Self(sys::watch(socket).or_lab(|| "cannot wait for the keeper")?)))
    }

    /// Returns the keeper's process; `None` if it has ended and only its children still hold the socket.
    pub fn life(&self) -> Result<Option<Life>> {
        let watch = || {
            let peer = getsockopt(self.0.get_ref(), PeerCredentials)?;
            let pid = Pid::from_raw(peer.pid());
            let pidfd = match sys::pidfd_open(pid) {
                Err(Errno::ESRCH) => return Ok(None),
                other => other?,
            };
            io::Result::Ok(Some(Life { pid, pidfd: sys::watch(pidfd)? }))
        };
        watch().or_lab(|| "cannot watch the lab's keeper")
    }

    /// Sends a request and returns the first reply with its descriptors. A reply that it failed is an error.
    pub async fn ask(&mut self, request: &Request, fds: &[OwnedFd]) -> Result<(Reply, Vec<OwnedFd>)> {
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let send = |socket: &OwnedFd| Ok(protocol::send(socket.as_fd(), request, &fds)?);
        self.0.async_io(Interest::WRITABLE, send).await.or_lab(|| "cannot ask the lab's keeper")?;
        match self.next().await? {
            Some((Reply::Failed(failure), _)) => Err(failure.into()),
            Some(answer) => Ok(answer),
            None => Err(gone()),
        }
    }

    /// Returns the next message; `None` once the keeper is gone.
    pub async fn next(&mut self) -> Result<Option<(Reply, Vec<OwnedFd>)>> {
        let receive = |socket: &OwnedFd| Ok(protocol::receive(socket.as_fd())?);
        match self.0.async_io(Interest::READABLE, receive).await {
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            other => other.or_lab(|| "cannot receive from the lab's keeper"),
        }
    }

    /// Polls whether the keeper is gone. Only for a connection over which nothing was requested.
    pub fn poll_gone(&self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.0.poll_read_ready(cx).map(drop)
    }
}

/// A keeper's process.
pub struct Life {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
}

impl Life {
    /// Kills it, and with it the lab.
    pub fn kill(&self) -> Result<()> {
        kill(self.pid, Signal::SIGKILL).or_lab(|| "cannot kill the lab's keeper")
    }

    /// Waits for its end; after that it holds no lock.
    pub async fn end(&self) -> Result<()> {
        self.pidfd.readable().await.map(drop).or_lab(|| "cannot wait for the keeper's end")
    }
}

fn gone() -> Error {
    Error::lab("the lab is gone").hint("its keeper has ended; `netlab up` builds it again")
}

/// The caller's ends of a program's streams, and the program's own.
struct Pipes {
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
    theirs: [OwnedFd; 3],
}

impl Pipes {
    fn new() -> Result<Self> {
        let make = || {
            let (stdin, ours_in) = io::pipe()?;
            let (ours_out, stdout) = io::pipe()?;
            let (ours_err, stderr) = io::pipe()?;
            io::Result::Ok(Self {
                stdin: pipe::Sender::from_owned_fd(ours_in.into())?,
                stdout: pipe::Receiver::from_owned_fd(ours_out.into())?,
                stderr: pipe::Receiver::from_owned_fd(ours_err.into())?,
                theirs: [stdin.into(), stdout.into(), stderr.into()],
            })
        };
        make().or_lab(|| "cannot make pipes")
    }

    fn process(self, pid: i32, connection: Connection) -> Process {
        Process {
            pid,
            stdin: Box::new(Input(Some(self.stdin))),
            stdout: Box::new(self.stdout),
            stderr: Box::new(self.stderr),
            handle: Box::new(Program { connection, master: None, ended: None }),
        }
    }
}

/// Runs a program on a host.
pub async fn exec(mut connection: Connection, host: &str, command: &Command) -> Result<Process> {
    let request = Request::Exec { host: host.to_owned(), command: command.clone() };
    if command.terminal.is_none() {
        let pipes = Pipes::new()?;
        return match connection.ask(&request, &pipes.theirs).await? {
            (Reply::Spawned { pid }, _) => Ok(pipes.process(pid, connection)),
            (other, _) => Err(unexpected(&other)),
        };
    }
    let (pid, master) = match connection.ask(&request, &[]).await? {
        (Reply::Spawned { pid }, mut fds) => {
            (pid, fds.pop().ok_or_else(|| Error::lab("the keeper sent no terminal"))?)
        }
        (other, _) => return Err(unexpected(&other)),
    };
    let master = Master::new(master).or_lab(|| "cannot use the terminal")?;
    Ok(Process {
        pid,
        stdin: Box::new(master.clone()),
        stdout: Box::new(master.clone()),
        stderr: Box::new(tokio::io::empty()),
        handle: Box::new(Program { connection, master: Some(master), ended: None }),
    })
}

/// Starts an observer.
pub async fn observe(mut connection: Connection) -> Result<(Process, crate::runtime::Watch)> {
    let pipes = Pipes::new()?;
    match connection.ask(&Request::Observe, &pipes.theirs).await? {
        (Reply::Observing { pid, watch }, _) => Ok((pipes.process(pid, connection), watch)),
        (other, _) => Err(unexpected(&other)),
    }
}

/// The error for a reply that does not match the request.
pub fn unexpected(reply: &Reply) -> Error {
    let text = serde_json::to_string(reply).unwrap_or_default();
    Error::lab(format!("unexpected answer from the lab's keeper: {text}"))
        .hint("it may be another version of netlab: `netlab down`, then `netlab up`")
}

/// A program's standard input. A pipe's input ends when its writing end closes, which tokio's shutdown leaves
/// to dropping it.
struct Input(Option<pipe::Sender>);

impl Input {
    fn open(&mut self) -> io::Result<Pin<&mut pipe::Sender>> {
        self.0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

struct Program {
    connection: Connection,
    master: Option<Master>,
    ended: Option<ExitStatus>,
}

#[async_trait]
impl Handle for Program {
    async fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended {
                return Ok(status);
            }
            match self.connection.next().await? {
                Some((Reply::Exited(status), _)) => self.ended = Some(status),
                Some(_) => {}
                None => return Err(gone()),
            }
        }
    }

    async fn resize(&self, size: TerminalSize) -> Result<()> {
        let Some(master) = &self.master else { return Ok(()) };
        sys::resize(master.0.get_ref(), size.rows, size.columns).or_lab(|| "cannot resize the terminal")
    }
}

/// A terminal's master side.
#[derive(Clone)]
struct Master(Arc<AsyncFd<OwnedFd>>);

impl Master {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self(Arc::new(sys::watch(fd)?)))
    }
}

impl AsyncRead for Master {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let read = guard.try_io(|fd| Ok(nix::unistd::read(fd.get_ref(), buf.initialize_unfilled())?));
            match read {
                Ok(Ok(n)) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                // No program has the terminal open any more.
                Ok(Err(e)) if e.raw_os_error() == Some(Errno::EIO as i32) => return Poll::Ready(Ok(())),
                Ok(Err(e)) => return Poll::Ready(Err(e)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Master {
    fn poll_write(self: Pin<&mut Self>, cx: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(written) = guard.try_io(|fd| Ok(nix::unistd::write(fd.get_ref(), bytes)?)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Writes ^D, which ends a terminal's input.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.poll_write(cx, b"\x04").map_ok(drop)
    }
}
