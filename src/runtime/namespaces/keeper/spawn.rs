//! Starting programs on a host from outside it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    ffi::CString,
    fs::File,
    io::{self, Seek, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sched::CloneFlags,
    sys::{
        memfd::{MFdFlags, memfd_create},
        prctl::set_pdeathsig,
        signal::{Signal, kill},
        socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair},
        stat::{Mode, umask},
        wait::{Id, WaitPidFlag, waitid, waitpid},
    },
    unistd::{Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, fexecve, setsid},
};

use super::{
    super::{
        launch::{Answer, Launch},
        protocol::{self, Failure},
    },
    cgroup::Membership,
    ids::Ids,
    rootfs,
};
use crate::{
    Error, Result,
    error::Context,
    kernel::sys,
    privileges::{Capabilities, restrict_calls},
    programs::{FOLDER, INIT},
    runtime::Command,
    topology::HostPlan,
};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the launcher may take to become the program.
const BEGIN: Duration = Duration::from_secs(5);

/// Where a program is started.
pub struct Place<'a> {
    /// The host.
    pub host: &'a HostPlan,
    /// Its PID 1.
    pub init: BorrowedFd<'a>,
    /// The control groups that bound it.
    pub membership: &'a Membership,
    /// How its users are mapped.
    pub ids: &'a Ids,
    /// The capabilities of its root.
    pub capabilities: Capabilities,
}

/// What a program reads and writes.
pub enum Streams {
    /// The given three descriptors.
    Given([OwnedFd; 3]),
    /// A terminal, which the launcher creates on the host.
    Terminal,
}

/// A program that has just been started, while its process may still be the launcher.
pub struct Newborn {
    /// Its pid in the keeper's PID namespace.
    pub pid: Pid,
    /// Its terminal's master, if it has one.
    pub master: Option<OwnedFd>,
    /// Closes when the program has replaced the launcher.
    launcher: OwnedFd,
    /// When that must have happened.
    deadline: Instant,
}

/// The progress of a newborn.
pub enum Progress {
    /// The program has replaced the launcher.
    Running,
    /// It has not yet.
    Starting,
    /// It took too long, and was killed.
    TimedOut,
}

impl Newborn {
    /// Returns the descriptor that becomes readable when there is progress.
    pub fn launcher(&self) -> BorrowedFd<'_> {
        self.launcher.as_fd()
    }

    /// Returns when to check it even if nothing became readable.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Checks its progress. Once it is running, signals and observations concern the program itself. Somebody
    /// on the host can keep it from starting, but delays nobody else by that.
    pub fn look(&self) -> Progress {
        let mut byte = [0];
        match recv(self.launcher.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Progress::Running,
            // Only the launcher has the other end, and nothing is ever sent on it.
            _ if Instant::now() < self.deadline => Progress::Starting,
            _ => {
                // It may have ended in the meantime.
                let _ = kill(self.pid, Signal::SIGKILL);
                Progress::TimedOut
            }
        }
    }
}

/// Starts a program on a host, as a child of this process. A program that cannot be run is reported on its
/// own standard error, the way a shell does.
pub fn on_host(place: &Place<'_>, command: &Command, streams: &Streams) -> Result<Newborn> {
    let what = || format!("cannot start a program on {}", place.host.name);
    let order = order(place, command).or_lab(what)?;
    let kind = (AddressFamily::Unix, SockType::SeqPacket);
    let (launcher, theirs) = socketpair(kind.0, kind.1, None, SockFlag::SOCK_CLOEXEC).or_lab(what)?;
    let helper = sys::clone(CloneFlags::empty(), || {
        let Err(error) = become_launcher(place, command, streams, &order, theirs.as_fd());
        // If the keeper is gone, nobody needs the error, and the host goes too.
        let _ = protocol::send(theirs.as_fd(), &Answer::Err(Failure::from(&error)), &[]);
        0
    })
    .or_lab(what)?;
    drop(theirs);
    let answer = protocol::receive::<Answer>(launcher.as_fd());
    waitpid(helper, None).or_lab(what)?;
    let (pid, mut fds) = match answer.or_lab(what)? {
        Some((Ok(pid), fds)) => (Pid::from_raw(pid), fds),
        Some((Err(failure), _)) => return Err(failure.into()),
        None => return Err(Error::lab(what())),
    };
    // A process that is not our child was not started by the launcher.
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    if waitid(Id::Pid(pid), ended) == Err(Errno::ECHILD) {
        return Err(Error::lab(what()).caused_by("it is not a child of this lab's keeper"));
    }
    Ok(Newborn { pid, master: fds.pop(), launcher, deadline: Instant::now() + BEGIN })
}

/// Returns the file with the launcher's order.
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

/// Runs in the helper: enters the host, and becomes `lab-init launch` there before the host can see it. See
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
    let launcher = format!("{FOLDER}/{INIT}");
    execute(&launcher, &[launcher.clone(), "launch".into()], &BTreeMap::new()).or_lab(what)
}

/// Prepares this process as every program on a host starts.
pub fn settle(capabilities: Capabilities) -> nix::Result<()> {
    umask(Mode::from_bits_truncate(0o022));
    capabilities.bound()?;
    sys::reset_signals();
    Ok(())
}

/// Returns the environment of a host's programs, with nothing from the machine's.
pub fn environment(host: &HostPlan, command: &Command) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), format!("{FOLDER}:{PATH}")),
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

/// Replaces this process with a program.
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

/// Starts `netlab observe` beside the keeper: in the switch, with the machine's processes visible. It ends
/// with the keeper, and inherits nothing of the environment of whoever started the lab.
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
            // If it is not root in its user namespace, exec would drop the capabilities it needs to observe.
            Capabilities::keep_across_exec()?;
            // Not essential: an observer limits its own memory, too.
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
