//! Watches the lab's folder: if it is removed, e.g. when the user's last logout clears the runtime folder,
//! nobody can reach the lab any more, and the lab ends, too.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::super::state::Folder;

/// A watch that becomes readable when something in the folder is removed.
pub struct FolderWatch {
    news: Inotify,
    socket: PathBuf,
}

impl FolderWatch {
    /// Watches a folder in which the keeper already listens.
    pub fn new(folder: &Folder) -> io::Result<Self> {
        let news = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let gone = AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_UNMOUNT;
        news.add_watch(folder.path(), gone)?;
        Ok(Self { news, socket: folder.socket() })
    }

    /// Returns whether the keeper can no longer be reached through its folder.
    pub fn is_gone(&self) -> bool {
        // What was removed does not matter, only what is left.
        let _ = self.news.read_events();
        !self.socket.exists()
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}
