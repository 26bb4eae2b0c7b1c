//! Reads a host's log as it grows.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::{AsyncRead, ReadBuf, unix::AsyncFd};

use super::{client::Connection, state::Found};
use crate::{Result, error::Context, kernel::sys};

/// A stream of a log that ends when the lab does.
pub struct Follow {
    log: File,
    grown: AsyncFd<OwnedFd>,
    lab: Connection,
}

impl Follow {
    /// Follows the host's log from its start.
    pub fn new(folder: &Found, host: &str, lab: Connection) -> Result<Self> {
        let (log, path) = folder.log(host)?;
        let watch = || {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            inotify.add_watch(&path, AddWatchFlags::IN_MODIFY)?;
            sys::watch(inotify.as_fd().try_clone_to_owned()?)
        };
        let grown = watch().or_lab(|| format!("cannot read the log of {host}"))?;
        Ok(Self { log, grown, lab })
    }
}

impl AsyncRead for Follow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            // Checked before the file is read, so that the lab's end comes after its last output.
            let gone = self.lab.poll_gone(cx).is_ready();
            // The file is in memory: reading it does not block.
            let n = self.log.read(buf.initialize_unfilled())?;
            buf.advance(n);
            if n > 0 || gone {
                return Poll::Ready(Ok(()));
            }
            let mut grown = ready!(self.grown.poll_read_ready(cx))?;
            // Everything reported so far is in the file, which is read again.
            let _ = grown.try_io(|news| Ok(nix::unistd::read(news.get_ref(), &mut [0; 4096])?));
        }
    }
}
