//! Starting programs on a host from outside it.
//!
//! A process enters a PID namespace only by being born into it. So a short-lived helper enters all
//! the host's namespaces and clones the program, with the keeper for its parent (`CLONE_PARENT`); the
//! keeper itself never leaves its own namespaces, which a user could not come back to.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    ffi::CString,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{posix_openpt, unlockpt},
    sched::{CloneFlags, setns},
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill},
        socket::{AddressFamily, SockFlag, SockType, socketpair},
        stat::{Mode, umask},
        wait::{Id, WaitPidFlag, waitid, waitpid},
    },
    unistd::{Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, fexecve, setsid},
};

use super::{
    super::{
        protocol::{self, Failure},
        sys,
    },
    cgroup::Membership,
    filter,
    root::PROGRAMS,
};
use crate::{
    Error, Result,
    error::Context,
    runtime::{Command, TerminalSize},
    topology::HostPlan,
};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long our copy may take to become the program.
const BEGIN: Duration = Duration::from_secs(5);

/// Where a program is started.
pub struct Place<'a> {
    /// The host.
    pub host: &'a HostPlan,
    /// Its PID 1.
    pub init: BorrowedFd<'a>,
    /// The control groups that bound it.
    pub membership: &'a Membership,
}

/// What a program reads and writes.
pub enum Streams {
    /// These three.
    Given([OwnedFd; 3]),
    /// A terminal of that size, made on the host.
    Terminal(TerminalSize),
}

/// Starts a program on a host, as a child of this process. Gives its pid here and its terminal's
/// master. A program that cannot be run is told on its own standard error, as a shell would.
pub fn on_host(place: &Place<'_>, command: &Command, streams: &Streams) -> Result<(Pid, Option<OwnedFd>)> {
    let what = || format!("cannot start a program on {}", place.host.name);
    let kind = (AddressFamily::Unix, SockType::SeqPacket);
    let (ours, theirs) = socketpair(kind.0, kind.1, None, SockFlag::SOCK_CLOEXEC).or_lab(what)?;
    let helper = sys::clone(CloneFlags::empty(), || {
        let born = enter_and_start(place, command, streams, theirs.as_fd());
        let (report, master) = match &born {
            Ok((pid, master)) => (Ok(pid.as_raw()), master.as_ref().map(AsFd::as_fd)),
            Err(error) => (Err(Failure::from(error)), None),
        };
        // If the keeper is gone there is nobody to tell, and the host goes too.
        let _ = protocol::send(theirs.as_fd(), &report, master.as_slice());
        0
    })
    .or_lab(what)?;
    drop(theirs);
    waitpid(helper, None).or_lab(what)?;
    match protocol::receive::<Result<i32, Failure>>(ours.as_fd()).or_lab(what)? {
        Some((Ok(pid), mut fds)) => {
            let pid = Pid::from_raw(pid);
            // The newborn holds the other end, too, and may be in wrong hands.
            let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            if waitid(Id::Pid(pid), ended) == Err(Errno::ECHILD) {
                return Err(Error::lab(what()).caused_by("it is no child of this lab's"));
            }
            if !begins(ours.as_fd()) {
                // It may have ended meanwhile.
                let _ = kill(pid, Signal::SIGKILL);
                return Err(Error::lab(what()).caused_by("somebody keeps it from beginning"));
            }
            Ok((pid, fds.pop()))
        }
        Some((Err(failure), _)) => Err(failure.into()),
        None => Err(Error::lab(what())),
    }
}

/// Waits until the other end closes. It does when the program has taken the place of our copy, so that
/// whoever looks at it or sends it a signal from then on meets the program itself.
fn begins(socket: BorrowedFd<'_>) -> bool {
    let deadline = Instant::now() + BEGIN;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut sockets = [PollFd::new(socket, PollFlags::POLLIN)];
        match poll(&mut sockets, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)) {
            Err(Errno::EINTR) => {}
            Ok(0) | Err(_) => return false,
            Ok(_) if matches!(protocol::receive::<()>(socket), Err(Errno::EINTR) | Ok(Some(_))) => {}
            Ok(_) => return true,
        }
    }
}

/// The helper's part.
fn enter_and_start(
    place: &Place<'_>,
    command: &Command,
    streams: &Streams,
    report: BorrowedFd<'_>,
) -> Result<(Pid, Option<OwnedFd>)> {
    let what = || format!("cannot enter {}", place.host.name);
    place.membership.join().or_lab(what)?;
    let all = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET;
    setns(place.init, all).or_lab(what)?;
    let (master, terminal) = match streams {
        Streams::Terminal(size) => {
            let (master, terminal) =
                open_terminal(*size).or_lab(|| format!("cannot make a terminal on {}", place.host.name))?;
            (Some(master), Some(terminal))
        }
        Streams::Given(_) => (None, None),
    };
    // From its birth on the newborn is in reach of the host's root, who can stop and trace it: it must hold
    // nothing that a program there may not have.
    let given: &[OwnedFd] = if let Streams::Given(given) = streams { given } else { &[] };
    let kept: Vec<BorrowedFd<'_>> =
        given.iter().chain(&master).chain(&terminal).map(AsFd::as_fd).chain([report]).collect();
    sys::close_all_but(&kept);
    filter::forbid_user_namespaces()?;
    sys::limit_capabilities().or_lab(what)?;
    let pid = sys::clone(CloneFlags::CLONE_PARENT, || {
        let streams = match (streams, &terminal) {
            (Streams::Given([stdin, stdout, stderr]), _) => [stdin, stdout, stderr],
            (Streams::Terminal(_), Some(terminal)) => [terminal; 3],
            (Streams::Terminal(_), None) => return 126,
        };
        become_program(place.host, command, streams)
    })
    .or_lab(|| format!("cannot start a program on {}", place.host.name))?;
    Ok((pid, master))
}

fn open_terminal(size: TerminalSize) -> nix::Result<(OwnedFd, OwnedFd)> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    unlockpt(&master)?;
    let terminal = sys::terminal_of(&master)?;
    sys::resize(&terminal, size.rows, size.columns)?;
    Ok((master.into(), terminal))
}

/// The program's part: only returns, with the exit code, if it cannot be run.
fn become_program(host: &HostPlan, command: &Command, [stdin, stdout, stderr]: [&OwnedFd; 3]) -> isize {
    let prepare = || {
        setsid()?;
        dup2_stdin(stdin)?;
        dup2_stdout(stdout)?;
        dup2_stderr(stderr)?;
        if command.terminal.is_some() {
            sys::control_terminal(stdin.as_fd())?;
        }
        settle()
    };
    let folder = command.workdir.as_deref().unwrap_or("/");
    let program = command.argv.first().map_or("", String::as_str);
    let (what, errno) = if let Err(e) = prepare() {
        (program, e)
    } else if let Err(e) = chdir(folder) {
        (folder, e)
    } else {
        let Err(e) = execute(program, &command.argv, &environment(host, command));
        (program, e)
    };
    if errno == Errno::ENOENT && what == program && !program.contains('/') {
        eprintln!("netlab: {program}: command not found");
    } else {
        eprintln!("netlab: {what}: {}", errno.desc());
    }
    if errno == Errno::ENOENT && what == program { 127 } else { 126 }
}

/// What every program on a host starts with, whoever starts it.
pub fn settle() -> nix::Result<()> {
    umask(Mode::from_bits_truncate(0o022));
    sys::limit_capabilities()?;
    sys::reset_signals();
    Ok(())
}

/// The environment of a host's programs: nothing of the machine's is in it.
pub fn environment(host: &HostPlan, command: &Command) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), format!("{PROGRAMS}:{PATH}")),
        ("HOME".to_owned(), "/root".to_owned()),
        ("HOSTNAME".to_owned(), host.name.clone()),
    ]);
    if command.terminal.is_some() {
        all.insert("TERM".into(), "xterm".into());
    }
    all.extend(host.env.clone());
    all.extend(command.env.clone());
    all
}

/// Runs a program in place of this process, looking for it in the new environment's PATH.
pub fn execute(
    program: &str,
    argv: &[String],
    environment: &BTreeMap<String, String>,
) -> nix::Result<Infallible> {
    let c = |text: String| CString::new(text).map_err(|_| Errno::EINVAL);
    let argv = argv.iter().cloned().map(c).collect::<nix::Result<Vec<_>>>()?;
    let env = environment.iter().map(|(k, v)| c(format!("{k}={v}"))).collect::<nix::Result<Vec<_>>>()?;
    if program.is_empty() {
        return Err(Errno::ENOENT);
    }
    if program.contains('/') {
        return execve(&c(program.into())?, &argv, &env);
    }
    let mut worst = Errno::ENOENT;
    for folder in environment.get("PATH").map_or(PATH, String::as_str).split(':') {
        let Err(errno) = execve(&c(format!("{folder}/{program}"))?, &argv, &env);
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => {}
            // Another folder may have one that can be run.
            Errno::EACCES => worst = errno,
            other => return Err(other),
        }
    }
    Err(worst)
}

/// Starts `netlab observe` beside the keeper: in the switch, with the machine's processes in sight.
/// It goes when the keeper goes, and has nothing of the environment of whoever brought the lab up.
pub fn observer(netlab: &File, group: &Membership, streams: &[OwnedFd; 3]) -> Result<Pid> {
    sys::clone(CloneFlags::empty(), || {
        let [stdin, stdout, stderr] = streams;
        let become_observer = || {
            set_pdeathsig(Signal::SIGKILL)?;
            setsid()?;
            dup2_stdin(stdin)?;
            dup2_stdout(stdout)?;
            dup2_stderr(stderr)?;
            sys::reset_signals();
            // A lab can do without: an observer bounds its own memory, too.
            let _ = group.join();
            let path = CString::new(format!("PATH={PATH}")).map_err(|_| Errno::EINVAL)?;
            fexecve(netlab, &[c"netlab", c"observe"], &[path])
        };
        let Err(errno) = become_observer();
        eprintln!("netlab: cannot start the observer: {}", errno.desc());
        126
    })
    .or_lab(|| "cannot start the observer")
}
