//! Reads a host's process and socket tables through the host's own `/proc`, which has only its processes,
//! with its own pids.

use std::{collections::HashMap, fs::File, os::fd::OwnedFd};

use nix::{errno::Errno, fcntl::readlinkat};

use super::{
    bounds::{MOST_DESCRIPTORS, MOST_OF_FILE, MOST_ROWS},
    diag::Diag,
    handle::Handle,
    ids::Ids,
    parse,
    proc::Proc,
};
use crate::{
    Error, Result,
    error::Context,
    kernel::{SocketRow, order, read_sockets},
    observer::ProcessRow,
    runtime::WatchedHost,
};

/// At most this many bytes of a process's arguments are reported. There may be two megabytes of them, and
/// tables are sent often.
const ARGUMENTS: usize = 1 << 10;

/// One host, seen through its own `/proc`.
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its PID namespace; no other one can have this name as long as `proc` is open.
    pub namespace: String,
    init: Handle,
    proc: Proc,
    ids: Ids,
}

/// A host's tables at one time.
pub struct View {
    /// Its processes by pid.
    pub processes: Vec<ProcessRow>,
    /// Its sockets, listening ones first, then by port.
    pub sockets: Vec<SocketRow>,
    /// Whether the tables are complete.
    pub whole: bool,
}

impl Default for View {
    /// Empty tables, as for a host that is gone.
    fn default() -> Self {
        Self { processes: Vec::new(), sockets: Vec::new(), whole: true }
    }
}

impl Host {
    /// Opens the host. `None` if it is already gone.
    pub fn open(watched: &WatchedHost) -> Result<Option<Self>> {
        let what = || format!("cannot observe host {}", watched.name);
        let Some(init) = Handle::open(watched.init).or_lab(what)? else { return Ok(None) };
        match Self::enter(&watched.name, &init) {
            Ok((namespace, proc, ids)) => {
                Ok(Some(Self { name: watched.name.clone(), namespace, init, proc, ids }))
            }
            Err(_) if init.has_ended() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds the host's `/proc`, and verifies that it is this host's.
    fn enter(name: &str, init: &Handle) -> Result<(String, Proc, Ids)> {
        let what = || format!("cannot observe host {name}");
        let numbers = init.numbers().or_lab(what)?;
        // It must be PID 1 in a PID namespace below ours.
        if numbers.len() < 2 || numbers.last() != Some(&1) {
            return Err(Error::lab(what())
                .caused_by(format!("process {} is not PID 1 of a host", numbers.first().unwrap_or(&0))));
        }
        let proc = Proc::of(init).map_err(|e| match e {
            Errno::ENOTTY => Error::lab(what()).caused_by("it has no /proc mounted"),
            e => Error::lab(what())
                .caused_by(e)
                .hint("an observer needs CAP_SYS_PTRACE, CAP_SYS_ADMIN and CAP_SYS_CHROOT over the hosts"),
        })?;
        let outside = init.pid_namespace().or_lab(what)?;
        if !proc.link("1/ns/pid").is_ok_and(|inside| inside == *outside) {
            return Err(Error::lab(what()).caused_by("it has no /proc of its own mounted"));
        }
        let ids = Ids::of(&proc).or_lab(what)?;
        Ok((outside, proc, ids))
    }

    /// Opens the folder of a process, by its pid on the host. It refers to that process alone, even if the
    /// pid is reused.
    pub fn process_folder(&self, pid: i32) -> nix::Result<OwnedFd> {
        self.proc.process(pid)
    }

    /// Opens a faster way to read the host's sockets than its `/proc`, if permitted.
    pub fn diag(&self) -> Option<Diag> {
        let diag = Diag::open(&self.init).ok()?;
        diag.sockets().is_ok().then_some(diag)
    }

    /// Reads the host's tables now. `None` once its PID 1, and with it everything else, is gone.
    pub fn look(&self, diag: Option<&Diag>) -> Option<View> {
        let mut buffer = Vec::new();
        // Sockets first: the owner of each is then among the processes.
        let asked = diag.and_then(|diag| diag.sockets().ok());
        let (sockets, all_sockets) = asked.unwrap_or_else(|| self.sockets(&mut buffer));
        let found = self.proc.numbers(".", MOST_ROWS).ok()?;
        let mut pids = found.numbers;
        pids.sort_unstable();
        let mut processes: Vec<_> = pids.iter().filter_map(|pid| self.process(*pid, &mut buffer)).collect();
        if !processes.first().is_some_and(|p| p.pid == 1 && !matches!(p.state, 'Z' | 'X')) {
            return None;
        }
        processes.shrink_to_fit();
        let mut view = View { processes, sockets, whole: found.whole && all_sockets };
        view.whole &= self.own(&mut view);
        view.sockets.iter_mut().for_each(|socket| socket.uid = self.ids.inside(socket.uid));
        view.sockets.sort_by_key(order);
        Some(view)
    }

    /// Reads the host's sockets from its `/proc`; returns whether those are all.
    fn sockets(&self, buffer: &mut Vec<u8>) -> (Vec<SocketRow>, bool) {
        let (mut sockets, mut all) = (Vec::new(), true);
        for (file, v6) in [("1/net/tcp", false), ("1/net/tcp6", true)] {
            // A kernel without IPv6 has no tcp6.
            if let Ok(whole) = self.proc.read(file, MOST_OF_FILE, buffer) {
                all &= whole;
                sockets.extend(read_sockets(buffer, v6));
            }
        }
        (sockets, all)
    }

    /// Opens a process's executable; `None` if the process has ended.
    pub fn program(&self, pid: i32) -> Option<File> {
        self.proc.program(pid).ok()
    }

    /// Returns the path of that file on the host.
    pub fn program_name(&self, pid: i32) -> Option<String> {
        let name = self.proc.link(&format!("{pid}/exe")).ok()?;
        Some(name.to_string_lossy().into_owned())
    }

    /// Reads one process; `None` if it has ended meanwhile.
    fn process(&self, pid: i32, buffer: &mut Vec<u8>) -> Option<ProcessRow> {
        self.proc.read_once(&format!("{pid}/stat"), buffer).ok()?;
        let mut row = parse::stat(buffer)?;
        self.proc.read_once(&format!("{pid}/status"), buffer).ok()?;
        parse::status(buffer, &mut row);
        row.uid = self.ids.inside(row.uid);
        self.proc.read_once(&format!("{pid}/cmdline"), buffer).ok()?;
        buffer.truncate(ARGUMENTS);
        row.argv = parse::cmdline(buffer);
        Some(row)
    }

    /// Finds the processes that hold a descriptor of each socket, and the number of descriptors of each
    /// process. Returns whether all could be checked.
    fn own(&self, view: &mut View) -> bool {
        let mut by_inode: HashMap<u64, &mut SocketRow> =
            view.sockets.iter_mut().filter(|s| s.inode != 0).map(|s| (s.inode, s)).collect();
        if by_inode.is_empty() {
            return true;
        }
        let (mut left, mut whole) = (MOST_DESCRIPTORS, true);
        for process in &mut view.processes {
            let pid = process.pid;
            let Ok(found) = self.proc.numbers(&format!("{pid}/fd"), left) else { continue };
            left -= found.numbers.len();
            whole &= found.whole;
            process.descriptors = found.numbers.len() as u64;
            for fd in found.numbers {
                let Ok(link) = readlinkat(&found.folder, fd.to_string().as_str()) else { continue };
                let socket = parse::socket_inode(&link).and_then(|inode| by_inode.get_mut(&inode));
                if let Some(socket) = socket.filter(|s| s.owners.last() != Some(&pid)) {
                    socket.owners.push(pid);
                }
            }
        }
        whole
    }
}
