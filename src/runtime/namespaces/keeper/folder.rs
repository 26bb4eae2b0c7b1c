//! The lab's folder, watched: when it goes, as at a last logout that clears the user's runtime folder, nobody can
//! reach the lab any more, and it goes, too.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::super::state::Folder;

/// Becomes readable when something of the folder goes.
pub struct FolderWatch {
    news: Inotify,
    socket: PathBuf,
}

impl FolderWatch {
    /// Watches a folder in which the keeper listens already.
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

    /// Whether nobody can reach the keeper by its folder any more.
    pub fn is_gone(&self) -> bool {
        // What went does not matter, only what is there.
        let _ = self.news.read_events();
        !self.socket.exists()
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}
