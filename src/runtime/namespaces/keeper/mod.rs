//! The keeper: the background process that a lab on namespaces consists of.
//!
//! It owns everything, so that the kernel takes all of it down when it goes, however it goes: hosts'
//! PID 1s get SIGKILL when their parent dies, a PID namespace dies with its PID 1, and a network
//! namespace with the last process in it.
//!
//! It is single-threaded and has no async runtime, because it forks.

pub mod cgroup;
mod filter;
mod host;
mod log;
mod network;
mod power;
mod root;
mod serve;
mod spawn;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::Flock,
    sched::{CloneFlags, unshare},
    sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket},
    unistd::{Pid, chdir, getegid, geteuid, setsid},
};

use super::{
    protocol::{Failure, Order, Outcome},
    state::Folder,
    sys,
};
use crate::{Error, Result, error::Context, runtime::ExitStatus, topology::Plan};
use cgroup::{Cgroups, Membership};
use host::Host;
use log::Log;
use network::Switch;
use root::Stage;

/// How long a lab's links may take to come up.
const LINKS_UP: Duration = Duration::from_secs(20);

/// `netlab keeper`: reads an [`Order`] on standard input, writes an [`Outcome`] on standard output, and
/// keeps the lab in the background.
pub fn main() -> ExitCode {
    sys::close_inherited();
    let background = || {
        keep();
        0
    };
    match sys::clone(CloneFlags::empty(), background) {
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            report(&Outcome::Failed(Failure::from(&Error::lab("cannot start the keeper").caused_by(e))))
        }
    }
}

/// `netlab keeper --check`: builds a host without links and lets it go, and writes the [`Outcome`].
/// Labs' state would be kept in `folder`.
pub fn check(folder: &Path) -> ExitCode {
    sys::close_inherited();
    report(&match host::probe(folder) {
        Ok(()) => Outcome::Ready { warnings: Vec::new() },
        Err(e) => Outcome::Failed(Failure::from(&e)),
    })
}

fn report(outcome: &Outcome) -> ExitCode {
    let written = serde_json::to_writer(io::stdout(), outcome).is_ok() && io::stdout().flush().is_ok();
    if written && matches!(outcome, Outcome::Ready { .. }) { ExitCode::SUCCESS } else { ExitCode::from(3) }
}

fn keep() {
    // Neither can fail: a new process leads no group, and there is always a root.
    let _ = setsid();
    let _ = chdir("/");
    let built = serde_json::from_reader(io::stdin())
        .or_lab(|| "the keeper does not understand its order")
        .and_then(|order: Order| Keeper::build(order));
    let (mut keeper, warnings) = match built {
        Ok(built) => built,
        Err(e) => {
            report(&Outcome::Failed(Failure::from(&e)));
            return;
        }
    };
    // Whoever wanted the lab may be gone.
    if report(&Outcome::Ready { warnings }) != ExitCode::SUCCESS || detach().is_err() {
        keeper.take_down();
        return;
    }
    keeper.serve();
}

/// Lets go of the streams of whoever started this process.
fn detach() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}

struct Keeper {
    plan: Plan,
    folder: Folder,
    /// `netlab` itself, still the same if it is installed anew meanwhile.
    netlab: File,
    /// Where hosts are started; there once the first were.
    stage: Option<Stage>,
    hosts: Vec<Host>,
    /// Children that have ended, and how, of whom nobody was told yet.
    ended: Vec<(Pid, ExitStatus)>,
    cgroups: Cgroups,
    listener: UnixListener,
    /// Tells everyone that the lab is alive.
    _life: Flock<File>,
}

impl Keeper {
    fn build(order: Order) -> Result<(Self, Vec<String>)> {
        let Order { plan, folder } = order;
        let folder = Folder::at(folder);
        let claim = folder.claim()?;
        let Some(life) = claim.life()? else {
            return Err(Error::lab(format!("lab {} is already up", plan.lab))
                .hint(format!("`netlab down --lab {}` takes it down", plan.lab)));
        };
        let record = folder.cgroups();
        cgroup::clear(&record)?;
        claim.clear()?;
        let built = (|| {
            folder.write_plan(&plan)?;
            let netlab = File::open("/proc/self/exe").or_lab(|| "cannot find netlab's own program")?;
            let listener = open_socket(&folder.socket())?;
            let mut warnings = Vec::new();
            let (cgroups, memberships) = Cgroups::build(&plan, &record, &mut warnings)?;
            let mut keeper = Self {
                plan,
                folder: folder.clone(),
                netlab,
                stage: None,
                hosts: Vec::new(),
                ended: Vec::new(),
                cgroups,
                listener,
                _life: life,
            };
            match keeper.build_hosts(memberships, &mut warnings) {
                Ok(()) => Ok((keeper, warnings)),
                Err(e) => {
                    keeper.end_hosts();
                    std::mem::take(&mut keeper.cgroups).remove();
                    Err(e)
                }
            }
        })();
        if built.is_err() {
            // The first error is the one to tell.
            let _ = claim.remove();
        }
        built
    }

    fn build_hosts(&mut self, memberships: Vec<Membership>, warnings: &mut Vec<String>) -> Result<()> {
        let user = enter_namespaces()?;
        let programs = fs::read_link("/proc/self/exe").or_lab(|| "cannot find netlab's own program")?;
        let programs = programs.parent().unwrap_or(Path::new("/"));
        let logs: Vec<Log> =
            self.plan.hosts.iter().map(|h| Log::create(&self.folder.log(&h.name))).collect::<Result<_>>()?;

        let stage = Stage::build(&self.plan, self.folder.path(), programs, !user)?;
        let mut gate = host::Gate::new()?;
        stage.visit(|| {
            for (n, (log, membership)) in logs.into_iter().zip(memberships).enumerate() {
                self.hosts.push(Host::start(&stage, &self.plan, n, log, membership, &mut gate)?);
            }
            Ok(())
        })?;
        self.stage = Some(stage);

        let inits: Vec<Pid> = self.hosts.iter().map(|h| h.init).collect();
        let switch = Switch::build(&self.plan, &inits)?;
        warnings.extend(switch.warning());
        gate.open(self.hosts.len())?;
        self.reap();
        if let Some(dead) = self.plan.hosts.iter().zip(&self.hosts).find(|(_, h)| !h.alive) {
            return Err(Error::lab(format!("host {} ended as soon as it was started", dead.0.name)));
        }
        switch.wait_forwarding(Instant::now() + LINKS_UP)
    }
}

/// Puts this process into namespaces of its own, where it may make all others. Says whether that took
/// a user namespace.
fn enter_namespaces() -> Result<bool> {
    let (uid, gid) = (geteuid(), getegid());
    if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| no_namespaces(e, false))?;
        return Ok(false);
    }
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| no_namespaces(e, true))?;
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text).or_lab(|| format!("cannot set {file}"))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).map_err(|e| no_namespaces(e, true))?;
    Ok(true)
}

fn no_namespaces(errno: Errno, user: bool) -> Error {
    let set = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).map(|v| v.trim().to_owned()).ok();
    let error = Error::lab("cannot make namespaces").caused_by(errno);
    if !user {
        return error.hint("root of a container needs `--privileged` for that");
    }
    if set("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return error.hint(
            "this system keeps users from making namespaces; run as root, or \
             `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
        );
    }
    if set("kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return error.hint("run as root, or `sudo sysctl kernel.unprivileged_userns_clone=1`");
    }
    if set("user/max_user_namespaces").as_deref() == Some("0") {
        return error.hint("run as root, or `sudo sysctl user.max_user_namespaces=10000`");
    }
    error.hint("run as root; in a container, start that with `--privileged`")
}

fn open_socket(path: &Path) -> Result<UnixListener> {
    let open = || {
        let kind = (AddressFamily::Unix, SockType::SeqPacket);
        let socket: OwnedFd = socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, None)?;
        bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new(path)?)?;
        listen(&socket, Backlog::MAXCONN)?;
        nix::Result::Ok(UnixListener::from(socket))
    };
    open().or_lab(|| format!("cannot listen at {}", path.display()))
}
