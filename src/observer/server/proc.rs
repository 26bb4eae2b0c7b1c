//! Reads a host's `/proc`, trusting only what the kernel itself says.
//!
//! Root of a host can trace its PID 1 and change its root and links at will. So the host's `/proc` is not
//! opened through that PID 1's root, but from its mount namespace's root, by one of our threads, which enters
//! it and which no process of the host can see. What is found must be the root of a procfs, whose contents
//! come from the kernel alone, and must be that host's. Below it no link is followed, no mount crossed, and
//! every read has a limit.

use std::{
    ffi::{CStr, OsString},
    fs::File,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    thread,
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat},
    sched::{CloneFlags, setns, unshare},
    sys::{
        stat::{Mode, SFlag, fstat},
        statfs::{PROC_SUPER_MAGIC, fstatfs},
    },
    unistd::read,
};

use super::handle::Handle;

/// The inode of every procfs's root.
const ROOT: u64 = 1;

/// How files of a folder are opened: without following links or crossing mounts.
const PLAIN: ResolveFlag = ResolveFlag::RESOLVE_BENEATH
    .union(ResolveFlag::RESOLVE_NO_SYMLINKS)
    .union(ResolveFlag::RESOLVE_NO_MAGICLINKS)
    .union(ResolveFlag::RESOLVE_NO_XDEV);

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY);
/// Opens the name only, without following it.
const NAME: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW);

/// Bytes per read: more than `stat` and `status` ever contain.
const PIECE: usize = 8 << 10;

/// A host's `/proc`.
pub struct Proc(OwnedFd);

/// A folder and its numeric entries.
pub struct Numbered {
    /// The folder.
    pub folder: Dir,
    /// The numbers, in the kernel's order.
    pub numbers: Vec<i32>,
    /// Whether those are all.
    pub whole: bool,
}

impl Proc {
    /// Opens the `/proc` of a host, given its PID 1. Requires `CAP_SYS_ADMIN`, `CAP_SYS_CHROOT` and
    /// `CAP_SYS_PTRACE`.
    pub fn of(init: &Handle) -> nix::Result<Self> {
        let enter = || {
            // Entering a mount namespace requires file-system attributes (root, working folder) that no other
            // thread shares.
            unshare(CloneFlags::CLONE_FS)?;
            setns(init, CloneFlags::CLONE_NEWNS)?;
            open(
                "/proc",
                OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
                Mode::empty(),
            )
        };
        // Only a short-lived thread changes its namespace.
        let folder = thread::scope(|scope| scope.spawn(enter).join().unwrap_or(Err(Errno::EINVAL)))?;
        Self::at(folder)
    }

    /// Accepts a folder if it is the root of a procfs; otherwise `ENOTTY`.
    fn at(folder: OwnedFd) -> nix::Result<Self> {
        let is_procfs = fstatfs(&folder)?.filesystem_type() == PROC_SUPER_MAGIC;
        if is_procfs && fstat(&folder)?.st_ino == ROOT { Ok(Self(folder)) } else { Err(Errno::ENOTTY) }
    }

    /// Opens the folder of a process, by its pid on the host. It refers to that process alone, even if the
    /// pid is reused.
    pub fn process(&self, pid: i32) -> nix::Result<OwnedFd> {
        self.open(&pid.to_string(), FOLDER)
    }

    /// Replaces the contents of `buffer` with those of a file, up to `most` bytes. Returns whether that was
    /// all.
    pub fn read(&self, file: &str, most: usize, buffer: &mut Vec<u8>) -> nix::Result<bool> {
        let file = self.open(file, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
        buffer.clear();
        loop {
            let filled = buffer.len();
            if filled >= most {
                buffer.truncate(most);
                return Ok(false);
            }
            buffer.resize(filled + PIECE, 0);
            let n = read(&file, &mut buffer[filled..])?;
            buffer.truncate(filled + n);
            if n == 0 {
                return Ok(true);
            }
        }
    }

    /// Reads a file that the kernel returns whole in one read, or the beginning of a longer one.
    pub fn read_once(&self, file: &str, buffer: &mut Vec<u8>) -> nix::Result<()> {
        let file = self.open(file, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
        buffer.resize(PIECE, 0);
        let n = read(&file, buffer)?;
        buffer.truncate(n);
        Ok(())
    }

    /// Lists at most `most` numeric entries of a folder.
    pub fn numbers(&self, folder: &str, most: usize) -> nix::Result<Numbered> {
        let mut folder = Dir::from_fd(self.open(folder, FOLDER)?)?;
        let number = |name: &CStr| name.to_str().ok()?.parse().ok();
        let mut rest = folder.iter().filter_map(|entry| number(entry.ok()?.file_name()));
        let numbers: Vec<i32> = rest.by_ref().take(most).collect();
        let whole = rest.next().is_none();
        drop(rest);
        Ok(Numbered { folder, numbers, whole })
    }

    /// Reads a link without following it.
    pub fn link(&self, link: &str) -> nix::Result<OsString> {
        readlinkat(self.open(link, NAME)?, "")
    }

    /// Opens a process's executable. Only a regular file is opened, so that this never blocks.
    pub fn program(&self, pid: i32) -> nix::Result<File> {
        // The only link to be followed. It is the kernel's, in the kernel's folder, and leads to the file
        // itself.
        let named = openat(self.process(pid)?, "exe", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        regular(&named)
    }

    fn open(&self, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        openat2(&self.0, path, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(PLAIN))
    }
}

/// Opens a file given by an `O_PATH` descriptor, if it is regular; otherwise `EINVAL`.
fn regular(named: &OwnedFd) -> nix::Result<File> {
    if SFlag::from_bits_truncate(fstat(named)?.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(Errno::EINVAL);
    }
    let path = format!("/proc/self/fd/{}", named.as_fd().as_raw_fd());
    // Does not wait either if somebody holds a lease on it.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    open(path.as_str(), flags, Mode::empty()).map(File::from)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{FileTypeExt, symlink},
        path::Path,
    };

    use nix::unistd::mkfifo;

    use super::*;

    fn open_folder(path: &Path) -> OwnedFd {
        open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn only_the_root_of_a_procfs_is_a_proc() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/proc/self"), Path::new("/proc/sys"), Path::new("/")] {
            assert_eq!(Proc::at(open_folder(path)).err(), Some(Errno::ENOTTY), "{}", path.display());
        }
        let proc = Proc::at(open_folder(Path::new("/proc"))).unwrap();
        let own = std::process::id().cast_signed();
        assert!(proc.numbers(".", usize::MAX).unwrap().numbers.contains(&own));
        let mut buffer = Vec::new();
        proc.read_once(&format!("{own}/stat"), &mut buffer).unwrap();
        assert!(buffer.starts_with(own.to_string().as_bytes()));
        let program = fs::read_link("/proc/self/exe").unwrap();
        assert_eq!(proc.link(&format!("{own}/exe")).unwrap(), program);
        assert!(proc.program(own).unwrap().metadata().unwrap().is_file());
    }

    /// As if somebody had replaced a `/proc` with their own folder after it was opened.
    #[test]
    fn no_link_is_followed_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("secret"), "secret").unwrap();
        fs::create_dir(at("7")).unwrap();
        symlink(at("secret"), at("7/cmdline")).unwrap();
        symlink("../secret", at("7/stat")).unwrap();
        symlink("/proc/self", at("8")).unwrap();
        mkfifo(&at("7/exe"), Mode::S_IRUSR).unwrap();
        let proc = Proc(open_folder(folder.path()));

        let mut buffer = Vec::new();
        for link in ["7/cmdline", "7/stat", "8/stat", "../etc/passwd", "/etc/passwd"] {
            assert!(proc.read(link, PIECE, &mut buffer).is_err(), "{link}");
            assert!(proc.read_once(link, &mut buffer).is_err(), "{link}");
        }
        assert!(proc.process(8).is_err() && proc.numbers("8/fd", 1).is_err());
        assert!(at("7/exe").metadata().unwrap().file_type().is_fifo());
        assert_eq!(proc.program(7).err(), Some(Errno::EINVAL));
        assert_eq!(proc.program(8).err(), Some(Errno::ELOOP));
    }

    #[test]
    fn every_read_has_a_bound() {
        let proc = Proc::at(open_folder(Path::new("/proc"))).unwrap();
        let mut buffer = Vec::new();
        // A few kilobytes on any machine.
        assert!(!proc.read("mounts", 1, &mut buffer).unwrap_or(false));
        assert!(!proc.read("stat", 100, &mut buffer).unwrap());
        assert_eq!(buffer.len(), 100);
        assert!(proc.read("stat", 16 << 20, &mut buffer).unwrap());
        assert!(buffer.len() > 100);

        let endless = Proc(open_folder(Path::new("/dev")));
        assert!(!endless.read("zero", 1 << 20, &mut buffer).unwrap());
        assert_eq!(buffer.len(), 1 << 20);
        let some = proc.numbers(".", 1).unwrap();
        assert_eq!((some.numbers.len(), some.whole), (1, false));
    }
}
