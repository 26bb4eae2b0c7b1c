//! Stops a program at each of its steps: before a system call with an effect that others can see. There it
//! can be killed, or the call made to fail.
//!
//! Calls are traced with ptrace(2) by the calling thread; once tracing stops, the program runs on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{
    registers,
    run::{Ended, LIMIT, Streams},
};

/// The script that a traced program starts as: it waits until it is traced.
pub const BEGIN: [&str; 3] = ["-c", "read begin; exec \"$@\"", "sh"];

/// Whose steps are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The command's own.
    Command,
    /// Those of a program that it starts, identified by a word among its arguments.
    Child(&'static str),
}

/// A step about to be executed.
pub struct Step {
    /// The process.
    pub pid: Pid,
    thread: Pid,
    call: libc::c_long,
    arguments: [u64; 3],
}

/// What to do at a step.
pub enum Then {
    /// Execute it.
    Go,
    /// Make it fail.
    Fail(Errno),
    /// Execute it, and stop tracing.
    Leave,
}

/// Returns why programs cannot be traced here, if they cannot.
pub fn missing() -> Option<String> {
    if !registers::KNOWN {
        return Some("needs an x86-64 processor".into());
    }
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let seized = ptrace::seize(Pid::from_raw(child.id().cast_signed()), Options::empty());
    child.kill().unwrap();
    child.wait().unwrap();
    seized.err().map(|error| format!("nothing can be traced: {error}"))
}

/// Runs a command made with `BEGIN` to its end, calling `at` at each of its steps.
pub fn run(mut command: Command, whose: Whose, at: impl FnMut(&Step) -> Then + Send) -> Ended {
    let streams = Streams::of(&mut command);
    // The end of the thread ends the tracing.
    let status = std::thread::scope(|scope| {
        let (tell, hear) = mpsc::channel();
        let traced = scope.spawn(move || Tracer::run(&mut command, whose, at, tell));
        let child: Pid = hear.recv().unwrap();
        // The channel closes when the program has ended.
        if hear.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = kill(child, Signal::SIGKILL);
            let _ = traced.join();
            panic!("a traced command does not end");
        }
        traced.join().unwrap()
    });
    streams.ended(status)
}

struct Tracer<At> {
    command: Pid,
    whose: Whose,
    at: At,
    /// The processes whose steps are counted.
    counted: BTreeSet<Pid>,
    /// The process of each thread.
    processes: BTreeMap<Pid, Pid>,
    left: bool,
}

impl<At: FnMut(&Step) -> Then> Tracer<At> {
    fn run(command: &mut Command, whose: Whose, at: At, tell: mpsc::Sender<Pid>) -> ExitStatus {
        #[allow(clippy::zombie_processes, reason = "waited for by pid, like every traced process")]
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        tell.send(pid).unwrap();
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC;
        ptrace::seize(pid, options).unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let mut tracer = Self {
            command: pid,
            whose,
            at,
            counted: BTreeSet::new(),
            processes: BTreeMap::new(),
            left: false,
        };
        let status = tracer.follow();
        drop(tell);
        status
    }

    /// Proceeds from stop to stop until the command has ended.
    fn follow(&mut self) -> ExitStatus {
        use std::os::unix::process::ExitStatusExt;
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.command => {
                    return ExitStatus::from_raw(code << 8);
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.command => {
                    return ExitStatus::from_raw(signal as i32);
                }
                Ok(WaitStatus::PtraceSyscall(thread)) => self.call(thread),
                Ok(WaitStatus::PtraceEvent(thread, _, event)) => self.event(thread, event),
                Ok(WaitStatus::Stopped(thread, signal)) => self.go(thread, Some(signal)),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => panic!("cannot wait for a traced command: {error}"),
            }
        }
    }

    /// Continues a thread to its next stop. It may have been killed in the meantime.
    fn go(&mut self, thread: Pid, signal: Option<Signal>) {
        let process = self.process(thread);
        let _ = if self.left {
            ptrace::detach(thread, signal)
        } else if self.counted.contains(&process) {
            ptrace::syscall(thread, signal)
        } else {
            ptrace::cont(thread, signal)
        };
    }

    fn process(&mut self, thread: Pid) -> Pid {
        *self.processes.entry(thread).or_insert_with(|| {
            let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
            let id = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
            id.and_then(|id| id.trim().parse().ok()).map_or(thread, Pid::from_raw)
        })
    }

    /// Handles the start of a thread, or the execution of another program.
    fn event(&mut self, thread: Pid, event: i32) {
        let process = self.process(thread);
        if self.is_counted(process) {
            self.counted.insert(process);
        } else {
            self.counted.remove(&process);
            // A process that has just been forked may become the one to count.
            let is_another = event == libc::PTRACE_EVENT_EXEC || self.whose == Whose::Command;
            if process != self.command && is_another {
                let _ = ptrace::detach(thread, None);
                return;
            }
        }
        self.go(thread, None);
    }

    /// Returns whether a process's steps count: a forked keeper still does.
    fn is_counted(&self, process: Pid) -> bool {
        let program = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let program = String::from_utf8_lossy(&program).into_owned();
        let words: Vec<_> = program.split('\0').collect();
        match self.whose {
            Whose::Command => process == self.command && words[0].ends_with("netlab"),
            // Whether a keeper is possible is tested first, by one that does nothing.
            Whose::Child(word) => {
                process != self.command && words.contains(&word) && !words.contains(&"--check")
            }
        }
    }

    /// Handles the beginning or end of a system call.
    fn call(&mut self, thread: Pid) {
        let begins =
            ptrace::syscall_info(thread).is_ok_and(|info| info.op == libc::PTRACE_SYSCALL_INFO_ENTRY);
        if begins {
            match self.begun(thread) {
                Some(Then::Fail(error)) => registers::fail(thread, error),
                Some(Then::Leave) => self.left = true,
                Some(Then::Go) | None => {}
            }
        }
        self.go(thread, None);
    }

    fn begun(&mut self, thread: Pid) -> Option<Then> {
        let (call, arguments) = registers::call(thread)?;
        let step = Step { pid: self.process(thread), thread, call, arguments };
        step.is_seen().then(|| (self.at)(&step))
    }
}

impl Step {
    /// Returns whether others can see its effect.
    fn is_seen(&self) -> bool {
        if self.opens_to_write() {
            return true;
        }
        match self.call {
            // A thread that wakes another one.
            libc::SYS_write | libc::SYS_writev => !self.file(0).starts_with("anon_inode:"),
            libc::SYS_sendto
            | libc::SYS_sendmsg
            | libc::SYS_sendmmsg
            | libc::SYS_connect
            | libc::SYS_bind
            | libc::SYS_listen
            | libc::SYS_clone
            | libc::SYS_clone3
            | libc::SYS_fork
            | libc::SYS_vfork
            | libc::SYS_execve
            | libc::SYS_kill
            | libc::SYS_pidfd_send_signal
            | libc::SYS_unshare
            | libc::SYS_setns
            | libc::SYS_mount
            | libc::SYS_umount2
            | libc::SYS_move_mount
            | libc::SYS_mount_setattr
            | libc::SYS_pivot_root
            | libc::SYS_shutdown
            | libc::SYS_exit_group => true,
            _ => self.changes_a_folder() || self.takes_room(),
        }
    }

    fn changes_a_folder(&self) -> bool {
        matches!(
            self.call,
            libc::SYS_rename
                | libc::SYS_renameat
                | libc::SYS_renameat2
                | libc::SYS_link
                | libc::SYS_linkat
                | libc::SYS_symlink
                | libc::SYS_symlinkat
                | libc::SYS_mkdir
                | libc::SYS_mkdirat
                | libc::SYS_unlink
                | libc::SYS_unlinkat
                | libc::SYS_rmdir
        )
    }

    fn takes_room(&self) -> bool {
        matches!(
            self.call,
            libc::SYS_pwrite64
                | libc::SYS_pwritev
                | libc::SYS_ftruncate
                | libc::SYS_fallocate
                | libc::SYS_copy_file_range
                | libc::SYS_sendfile
                | libc::SYS_fsync
                | libc::SYS_fdatasync
        )
    }

    fn opens_to_write(&self) -> bool {
        let flags = match self.call {
            libc::SYS_open => self.arguments[1],
            libc::SYS_openat => self.arguments[2],
            _ => return false,
        };
        flags & u64::from((libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT).cast_unsigned()) != 0
    }

    /// Returns whether a full disk can make it fail, for files below a folder.
    pub fn needs_room(&self, folder: &Path) -> bool {
        let makes = self.opens_to_write() && self.creates();
        let in_a_folder = self.changes_a_folder()
            && !matches!(self.call, libc::SYS_unlink | libc::SYS_unlinkat | libc::SYS_rmdir);
        let writes = matches!(self.call, libc::SYS_write | libc::SYS_writev) || self.takes_room();
        makes || in_a_folder || writes && Path::new(&self.file(0)).starts_with(folder)
    }

    fn creates(&self) -> bool {
        let flags = if self.call == libc::SYS_open { self.arguments[1] } else { self.arguments[2] };
        flags & u64::from(libc::O_CREAT.cast_unsigned()) != 0
    }

    /// Returns what a descriptor among the arguments refers to.
    fn file(&self, argument: usize) -> String {
        let link = fs::read_link(format!("/proc/{}/fd/{}", self.thread, self.arguments[argument]));
        link.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Formats the call for messages.
    pub fn text(&self) -> String {
        format!("call {} of {:?} {}", self.call, self.arguments, self.file(0))
    }
}
