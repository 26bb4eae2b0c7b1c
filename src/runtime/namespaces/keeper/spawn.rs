//! Starting programs on a host from outside it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    ffi::CString,
    fs::File,
    io::{self, Seek, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::CloneFlags,
    sys::{
        memfd::{MFdFlags, memfd_create},
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
        launch::{Answer, Launch},
        protocol::{self, Failure},
        sys,
    },
    cgroup::Membership,
    ids::Ids,
    rootfs::{self, INIT, PROGRAMS},
};
use crate::{
    Error, Result,
    error::Context,
    privileges::{Capabilities, restrict_calls},
    runtime::Command,
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
    /// Who its users are.
    pub ids: &'a Ids,
    /// What its root may do.
    pub capabilities: Capabilities,
}

/// What a program reads and writes.
pub enum Streams {
    /// These three.
    Given([OwnedFd; 3]),
    /// A terminal, which the launcher makes on the host.
    Terminal,
}

/// Starts a program on a host, as a child of this process. Gives its pid here and its terminal's
/// master. A program that cannot be run is told on its own standard error, as a shell would.
pub fn on_host(place: &Place<'_>, command: &Command, streams: &Streams) -> Result<(Pid, Option<OwnedFd>)> {
    let what = || format!("cannot start a program on {}", place.host.name);
    let order = order(place, command).or_lab(what)?;
    let kind = (AddressFamily::Unix, SockType::SeqPacket);
    let (ours, theirs) = socketpair(kind.0, kind.1, None, SockFlag::SOCK_CLOEXEC).or_lab(what)?;
    let helper = sys::clone(CloneFlags::empty(), || {
        let Err(error) = become_launcher(place, command, streams, &order, theirs.as_fd());
        // If the keeper is gone there is nobody to tell, and the host goes too.
        let _ = protocol::send(theirs.as_fd(), &Answer::Err(Failure::from(&error)), &[]);
        0
    })
    .or_lab(what)?;
    drop(theirs);
    let answer = protocol::receive::<Answer>(ours.as_fd());
    waitpid(helper, None).or_lab(what)?;
    match answer.or_lab(what)? {
        Some((Ok(pid), mut fds)) => {
            let pid = Pid::from_raw(pid);
            // What is not our child was not started by the launcher.
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

/// What the launcher is to read.
fn order(place: &Place<'_>, command: &Command) -> io::Result<File> {
    let launch = Launch {
        command: command.clone(),
        environment: environment(place.host, command),
        capabilities: place.capabilities,
    };
    let mut order = File::from(memfd_create("launch", MFdFlags::MFD_CLOEXEC)?);
    order.write_all(&serde_json::to_vec(&launch)?)?;
    order.rewind()?;
    Ok(order)
}

/// The helper's part: it goes to the host, and becomes `lab-init launch` there before the host can see it. See
/// [`super::super::launch`].
fn become_launcher(
    place: &Place<'_>,
    command: &Command,
    streams: &Streams,
    order: &File,
    answer: BorrowedFd<'_>,
) -> Result<Infallible> {
    let what = || format!("cannot enter {}", place.host.name);
    let null = File::options().read(true).write(true).open("/dev/null").or_lab(what)?;
    place.membership.join().or_lab(what)?;
    place.ids.enter_host(place.init).or_lab(what)?;
    if command.unprivileged {
        rootfs::reveal(place.ids, place.host)?;
    }
    let streams = match streams {
        Streams::Given(given) => given.each_ref().map(AsFd::as_fd),
        Streams::Terminal => [null.as_fd(); 3],
    };
    let [stdin, stdout, stderr] = streams;
    sys::leave_open(&[stdin, stdout, stderr, order.as_fd(), answer]).or_lab(what)?;
    chdir("/").and_then(|()| settle(place.capabilities)).or_lab(what)?;
    restrict_calls()?;
    let launcher = format!("{PROGRAMS}/{INIT}");
    execute(&launcher, &[launcher.clone(), "launch".into()], &BTreeMap::new()).or_lab(what)
}

/// Waits until the other end closes. It does when the program has taken the place of our copy, so that
/// whoever looks at it or sends it a signal from then on meets the program itself.
fn begins(socket: BorrowedFd<'_>) -> bool {
    let deadline = Instant::now() + BEGIN;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Whoever holds the other end may also send without end.
        if left.is_zero() {
            return false;
        }
        let mut sockets = [PollFd::new(socket, PollFlags::POLLIN)];
        match poll(&mut sockets, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)) {
            Err(Errno::EINTR) => {}
            Ok(0) | Err(_) => return false,
            Ok(_) if matches!(protocol::receive::<()>(socket), Err(Errno::EINTR) | Ok(Some(_))) => {}
            Ok(_) => return true,
        }
    }
}

/// What every program on a host starts with, whoever starts it.
pub fn settle(capabilities: Capabilities) -> nix::Result<()> {
    umask(Mode::from_bits_truncate(0o022));
    capabilities.bound()?;
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

/// Runs a program in place of this process.
pub fn execute(
    program: &str,
    argv: &[String],
    environment: &BTreeMap<String, String>,
) -> nix::Result<Infallible> {
    let c = |text: String| CString::new(text).map_err(|_| Errno::EINVAL);
    let argv = argv.iter().cloned().map(c).collect::<nix::Result<Vec<_>>>()?;
    let env = environment.iter().map(|(k, v)| c(format!("{k}={v}"))).collect::<nix::Result<Vec<_>>>()?;
    execve(&c(program.to_owned())?, &argv, &env)
}

/// Starts `netlab observe` beside the keeper: in the switch, with the machine's processes in sight.
/// It goes when the keeper goes.
pub fn observer(netlab: &File, streams: &[OwnedFd; 3]) -> Result<Pid> {
    sys::clone(CloneFlags::empty(), || {
        let [stdin, stdout, stderr] = streams;
        let become_observer = || {
            set_pdeathsig(Signal::SIGKILL)?;
            setsid()?;
            dup2_stdin(stdin)?;
            dup2_stdout(stdout)?;
            dup2_stderr(stderr)?;
            sys::reset_signals();
            // Where it is not root in its user namespace, it would lose by exec what it needs to observe.
            Capabilities::keep_across_exec()?;
            let env: Vec<CString> = std::env::vars()
                .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
                .collect();
            fexecve(netlab, &[c"netlab", c"observe"], &env)
        };
        let Err(errno) = become_observer();
        eprintln!("netlab: cannot start the observer: {}", errno.desc());
        126
    })
    .or_lab(|| "cannot start the observer")
}
