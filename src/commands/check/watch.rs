//! Waits for changes in a workspace, as reported by the kernel (inotify(7)).

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    thread,
};

use netlab::{Error, Result, error::Context};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::sync::mpsc;

/// Folders whose files are not written by hand.
const MADE: [&str; 3] = ["target", ".git", "__pycache__"];

/// The changes in a workspace.
pub struct Watch {
    changes: mpsc::UnboundedReceiver<Result<PathBuf>>,
}

impl Watch {
    /// Watches `folder` and everything below it, except the runs' folder. A compiler's output counts only
    /// where checking does not compile.
    pub fn new(folder: &Path, captures: &Path, compiles: bool) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).or_lab(|| "cannot watch files: inotify")?;
        let captures = std::path::absolute(captures).unwrap_or_else(|_| captures.into());
        let mut folders = Folders { inotify, watched: HashMap::new(), captures, compiles };
        folders.add(folder)?;
        let (send, changes) = mpsc::unbounded_channel();
        // A blocking read, on a thread that ends when the receiver is dropped or with the program.
        let watching = thread::Builder::new().spawn(move || {
            loop {
                let paths = folders.changed();
                let is_over = paths.is_err();
                let news = paths.map_or_else(|e| vec![Err(e)], |paths| paths.into_iter().map(Ok).collect());
                if news.into_iter().any(|news| send.send(news).is_err()) || is_over {
                    return;
                }
            }
        });
        watching.or_lab(|| "cannot start a thread to watch files")?;
        Ok(Self { changes })
    }

    /// Waits for a file written by hand, not by a compiler. Files written since the last call count, too.
    pub async fn changed(&mut self) -> Result<PathBuf> {
        let changed = self.changes.recv().await.unwrap_or_else(|| Err(Error::lab("nothing is watched")))?;
        // An editor writes a file in several steps, and a user may save several at once.
        while self.changes.try_recv().is_ok() {}
        Ok(changed)
    }
}

struct Folders {
    inotify: Inotify,
    watched: HashMap<WatchDescriptor, PathBuf>,
    captures: PathBuf,
    compiles: bool,
}

impl Folders {
    fn add(&mut self, folder: &Path) -> Result<()> {
        let is_made = folder.file_name().is_some_and(|name| MADE.iter().any(|made| name == *made));
        if is_made || folder == self.captures {
            return Ok(());
        }
        let what = || format!("cannot watch {}", folder.display());
        let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CREATE;
        let watched = self.inotify.add_watch(folder, flags).or_lab(what)?;
        self.watched.insert(watched, folder.to_owned());
        for entry in fs::read_dir(folder).or_lab(what)?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Waits for events. Returns the files that changed, possibly none of interest.
    fn changed(&mut self) -> Result<Vec<PathBuf>> {
        let events = self.inotify.read_events().or_lab(|| "cannot watch files")?;
        events.into_iter().filter_map(|event| self.take(event).transpose()).collect()
    }

    fn take(&mut self, event: InotifyEvent) -> Result<Option<PathBuf>> {
        let (Some(folder), Some(name)) = (self.watched.get(&event.wd), event.name) else { return Ok(None) };
        let path = folder.join(name);
        if path.is_dir() {
            // A new folder: its files count from now on.
            return self.add(&path).map(|()| None);
        }
        let whole = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO;
        Ok((event.mask.intersects(whole) && !(self.compiles && is_made(&path))).then_some(path))
    }
}

/// Whether a compiler made the file, or it is already gone, like an editor's temporary files.
fn is_made(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read(&mut magic));
    match read {
        Ok(n) => magic[..n] == *b"\x7fELF" || path.extension().is_some_and(|e| e == "o" || e == "swp"),
        Err(_) => true,
    }
}
