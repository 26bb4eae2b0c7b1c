//! A host's process and socket tables, read through the host's own `/proc`.
//!
//! `/proc/INIT/root/proc` is what the host itself has mounted: its processes by its own numbers, and
//! no others. The folder is opened once and held, so that a number that the machine gives to another
//! process later can never be mistaken for the host.

use std::{
    collections::HashMap,
    ffi::CStr,
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, open, openat, readlinkat},
    sys::stat::Mode,
    unistd::read,
};

use super::{diag::Diag, parse};
use crate::{
    Error, Result,
    error::Context,
    observer::{ProcessRow, SocketRow},
    runtime::WatchedHost,
};

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// More than `stat` and `status` ever hold, in bytes.
const SMALL: usize = 8 << 10;

/// So many bytes of a process's arguments are told. It may have two megabytes of them, and tables are told
/// often.
const ARGUMENTS: usize = 1 << 10;

/// One host, seen through its own `/proc`.
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its PID 1, as numbered here.
    pub init: i32,
    proc: OwnedFd,
}

/// What a host looked like at one time.
#[derive(Default)]
pub struct View {
    /// Its processes by pid.
    pub processes: Vec<ProcessRow>,
    /// Its sockets, listening ones first, then by port.
    pub sockets: Vec<SocketRow>,
}

impl Host {
    /// Opens the host's `/proc`. `None` where the host is gone already.
    pub fn open(watched: &WatchedHost) -> Result<Option<Self>> {
        let (name, init) = (watched.name.clone(), watched.init);
        let path = format!("/proc/{init}/root/proc");
        let proc = match open(path.as_str(), FOLDER, Mode::empty()) {
            Ok(proc) => proc,
            Err(Errno::ENOENT | Errno::ESRCH) if has_ended(init) => return Ok(None),
            Err(e) => {
                return Err(Error::lab(format!("cannot look into host {name} through {path}"))
                    .caused_by(e)
                    .hint("an observer needs CAP_SYS_PTRACE over the hosts"));
            }
        };
        let host = Self { name, init, proc };
        let inside = readlinkat(&host.proc, "1/ns/pid").or_lab(|| format!("cannot read {path}/1/ns/pid"))?;
        let outside =
            fs::read_link(format!("/proc/{init}/ns/pid")).or_lab(|| format!("cannot read /proc/{init}"))?;
        if inside != outside {
            return Err(Error::lab(format!("host {} has no /proc of its own mounted", host.name)));
        }
        Ok(Some(host))
    }

    /// The folder of a process, by its number on the host. It stands for that process alone, also
    /// when its number is used again.
    pub fn process_folder(&self, pid: i32) -> nix::Result<OwnedFd> {
        openat(&self.proc, pid.to_string().as_str(), FOLDER, Mode::empty())
    }

    /// A quicker way to the host's sockets than its `/proc`, where we may use it.
    pub fn diag(&self) -> Option<Diag> {
        let namespace = openat(&self.proc, "1/ns/net", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let diag = Diag::open(namespace.ok()?).ok()?;
        diag.sockets().is_ok().then_some(diag)
    }

    /// Looks at the host now. `None` once its PID 1 is gone, and everything else with it.
    pub fn look(&self, diag: Option<&Diag>) -> Option<View> {
        let mut buffer = Vec::with_capacity(2 * SMALL);
        // The sockets come first: whoever owns one of them now is then found in the processes.
        let asked = diag.and_then(|diag| diag.sockets().ok());
        let mut sockets = asked.unwrap_or_else(|| self.sockets(&mut buffer));
        let pids = self.pids().ok()?;
        let mut processes: Vec<_> = pids.iter().filter_map(|pid| self.process(*pid, &mut buffer)).collect();
        if !processes.first().is_some_and(|p| p.pid == 1 && !matches!(p.state, 'Z' | 'X')) {
            return None;
        }
        self.own(&mut sockets, &mut processes);
        sockets.sort_by_key(parse::order);
        processes.shrink_to_fit();
        Some(View { processes, sockets })
    }

    /// The host's sockets, from its `/proc`.
    fn sockets(&self, buffer: &mut Vec<u8>) -> Vec<SocketRow> {
        let mut sockets = Vec::new();
        for (file, v6) in [("1/net/tcp", false), ("1/net/tcp6", true)] {
            // A kernel without IPv6 has no tcp6.
            if self.read(file, buffer).is_ok() {
                sockets.extend(parse::sockets(buffer, v6));
            }
        }
        sockets
    }

    /// The file that a process executes; none if it has ended.
    pub fn program(&self, pid: i32) -> Option<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        openat(&self.proc, format!("{pid}/exe").as_str(), flags, Mode::empty()).ok().map(File::from)
    }

    /// What the host calls that file.
    pub fn program_name(&self, pid: i32) -> Option<String> {
        let name = readlinkat(&self.proc, format!("{pid}/exe").as_str()).ok()?;
        Some(name.to_string_lossy().into_owned())
    }

    fn pids(&self) -> io::Result<Vec<i32>> {
        let mut pids = self.entries(".")?;
        pids.sort_unstable();
        Ok(pids)
    }

    /// One process; none if it ended meanwhile.
    fn process(&self, pid: i32, buffer: &mut Vec<u8>) -> Option<ProcessRow> {
        self.read_of(pid, "stat", buffer).ok()?;
        let mut row = parse::stat(buffer)?;
        self.read_of(pid, "status", buffer).ok()?;
        parse::status(buffer, &mut row);
        self.read_of(pid, "cmdline", buffer).ok()?;
        buffer.truncate(ARGUMENTS);
        row.argv = parse::cmdline(buffer);
        Some(row)
    }

    /// Finds out which processes hold a descriptor of each socket, and how many each has of any kind.
    fn own(&self, sockets: &mut [SocketRow], processes: &mut [ProcessRow]) {
        let mut by_inode: HashMap<u64, &mut SocketRow> =
            sockets.iter_mut().filter(|s| s.inode != 0).map(|s| (s.inode, s)).collect();
        if by_inode.is_empty() {
            return;
        }
        for process in processes {
            let pid = process.pid;
            let Ok(fds) = self.entries(&format!("{pid}/fd")) else { continue };
            process.descriptors = fds.len() as u64;
            for fd in fds {
                let Ok(link) = readlinkat(&self.proc, format!("{pid}/fd/{fd}").as_str()) else { continue };
                let socket = parse::socket_inode(&link).and_then(|inode| by_inode.get_mut(&inode));
                if let Some(socket) = socket.filter(|s| s.owners.last() != Some(&pid)) {
                    socket.owners.push(pid);
                }
            }
        }
    }

    /// The entries of a folder that are numbers.
    fn entries(&self, folder: &str) -> io::Result<Vec<i32>> {
        let mut dir = Dir::openat(&self.proc, folder, FOLDER, Mode::empty())?;
        let number = |name: &CStr| name.to_str().ok()?.parse().ok();
        Ok(dir.iter().filter_map(|entry| number(entry.ok()?.file_name())).collect())
    }

    /// Reads a whole file into `buffer`, in place of what was there.
    fn read(&self, file: &str, buffer: &mut Vec<u8>) -> nix::Result<()> {
        let fd = openat(&self.proc, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        read_all(&fd, buffer)
    }

    /// Reads one of a process's files, which the kernel gives whole in one read; the first of long
    /// arguments.
    fn read_of(&self, pid: i32, file: &str, buffer: &mut Vec<u8>) -> nix::Result<()> {
        let path = format!("{pid}/{file}");
        let fd = openat(&self.proc, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        buffer.resize(SMALL, 0);
        let n = read(&fd, buffer)?;
        buffer.truncate(n);
        Ok(())
    }
}

/// Whether there is no such process, or only what its parent has not yet taken note of.
fn has_ended(pid: i32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat"));
    stat.ok().and_then(|bytes| parse::stat(&bytes)).is_none_or(|row| matches!(row.state, 'Z' | 'X'))
}

fn read_all(fd: impl AsFd, buffer: &mut Vec<u8>) -> nix::Result<()> {
    buffer.clear();
    loop {
        let filled = buffer.len();
        buffer.resize(filled + SMALL, 0);
        let n = read(&fd, &mut buffer[filled..])?;
        buffer.truncate(filled + n);
        if n == 0 {
            return Ok(());
        }
    }
}
