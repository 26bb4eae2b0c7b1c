//! The keeper: the background process that holds a lab on namespaces.
//!
//! It owns everything, so that when it ends, for whatever reason, the kernel takes all of it down: hosts' PID
//! 1s get SIGKILL when their parent dies, a PID namespace ends with its PID 1, and a network namespace with
//! its last process.
//!
//! It is single-threaded and has no async runtime, because it forks.

pub mod cgroup;
mod child;
mod folder;
mod host;
mod ids;
mod log;
mod network;
mod power;
mod rootfs;
mod serve;
mod spawn;

use std::{
    fs::{self, File},
    io::{self, PipeWriter, Read, Write, pipe},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use nix::{
    fcntl::Flock,
    sched::CloneFlags,
    sys::{
        socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, chdir, setsid},
};

use super::{
    protocol::{Failure, Order, Outcome},
    state::Folder,
};
use crate::{
    Error, Result,
    error::Context,
    kernel::{ExitStatus, sys},
    runtime::{Warning, wire},
    topology::Plan,
};
use cgroup::{Cgroups, Membership};
use host::{Host, HostStarter};
use ids::Ids;
use log::Log;
use network::Switch;
use rootfs::RootTemplate;

/// Time limit for a lab's links to come up.
const LINKS_UP: Duration = Duration::from_secs(20);

/// `netlab keeper`: reads an [`Order`] on standard input, writes an [`Outcome`] on standard output, and
/// keeps the lab in the background.
pub fn main() -> ExitCode {
    sys::close_inherited();
    match start() {
        Ok(status) => ExitCode::from(status.code()),
        Err(e) => {
            report(&Outcome::Failed(Failure::from(&Error::lab("cannot start the keeper").caused_by(e))))
        }
    }
}

/// Starts the keeper, and waits until it keeps a lab or has ended.
fn start() -> io::Result<ExitStatus> {
    let (ready, announce) = pipe()?;
    let (mut ready, mut announce) = (Some(ready), Some(announce));
    let background = || {
        ready = None;
        if let Some(announce) = announce.take() {
            keep(announce);
        }
        0
    };
    let keeper = sys::clone(CloneFlags::empty(), background)?;
    drop(announce.take());
    let keeps = ready.take().is_some_and(|mut ready| ready.read_exact(&mut [0]).is_ok());
    Ok(if keeps { ExitStatus::Exited(0) } else { ended(keeper)? })
}

fn ended(child: Pid) -> io::Result<ExitStatus> {
    Ok(match waitpid(child, None)? {
        WaitStatus::Exited(_, code) => ExitStatus::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
        WaitStatus::Signaled(_, signal, _) => ExitStatus::Signaled(signal as i32),
        _ => ExitStatus::Exited(u8::MAX),
    })
}

/// `netlab keeper --check`: builds a host without links, ends it, and writes the [`Outcome`]. `folder` is
/// where labs' state would be kept.
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

/// Builds and keeps the lab; writes to `ready` once it does.
fn keep(ready: PipeWriter) {
    // Neither can fail: a new process leads no group, and there is always a root.
    let _ = setsid();
    let _ = chdir("/");
    sys::leave_session_keyring();
    let built = serde_json::from_reader(io::stdin())
        .or_lab(|| "the keeper cannot parse its order")
        .and_then(|order: Order| Keeper::build(order));
    let (mut keeper, warnings) = match built {
        Ok(built) => built,
        Err(e) => {
            report(&Outcome::Failed(Failure::from(&e)));
            return;
        }
    };
    // The process that requested the lab may be gone.
    if report(&Outcome::Ready { warnings }) != ExitCode::SUCCESS || detach().is_err() {
        keeper.take_down();
        return;
    }
    keeper.serve(ready);
}

/// Closes the streams of the process that started this one.
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
    /// `netlab` itself; the same program even if another version is installed meanwhile.
    netlab: File,
    /// What all hosts share; set once the first hosts exist.
    ground: Option<Ground>,
    hosts: Vec<Host>,
    /// Ended children not yet reported to a client, with their exit status.
    ended: Vec<(Pid, ExitStatus)>,
    cgroups: Cgroups,
    listener: UnixListener,
    /// The lock that shows others that the lab is alive.
    _life: Flock<File>,
}

impl Keeper {
    fn build(order: Order) -> Result<(Self, Vec<Warning>)> {
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
                ground: None,
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
            // The first error is the one to report.
            let _ = claim.remove();
        }
        built
    }

    fn build_hosts(&mut self, memberships: Vec<Membership>, warnings: &mut Vec<Warning>) -> Result<()> {
        let programs = programs()?;
        let ids = Ids::claim(&self.plan, self.folder.path())?;
        let logs: Vec<Log> =
            self.plan.hosts.iter().map(|h| Log::create(&self.folder.log(&h.name))).collect::<Result<_>>()?;
        let template = RootTemplate::build(&self.plan, &programs, &ids, warnings)?;
        let ground = self.ground.insert(Ground { ids, template });

        let mut gate = host::Gate::new()?;
        let all: Vec<_> = logs.iter().zip(&memberships).enumerate().map(|(n, (l, m))| (n, l, m)).collect();
        let born = ground.starter(&self.plan).boot(&all, &mut gate)?;
        for ((init, pidfd), (log, membership)) in born.into_iter().zip(logs.into_iter().zip(memberships)) {
            self.hosts.push(Host { init, pidfd, alive: true, log, membership });
        }

        let inits: Vec<Pid> = self.hosts.iter().map(|h| h.init).collect();
        let switch = Switch::build(&self.plan, &inits)?;
        warnings.extend(switch.warning());
        gate.open(self.hosts.len())?;
        self.reap();
        if let Some(dead) = self.plan.hosts.iter().zip(&self.hosts).find(|(_, h)| !h.alive) {
            return Err(Error::lab(format!("host {} ended as soon as it was started", dead.0.name)));
        }
        switch.wait_forwarding(Instant::now() + LINKS_UP)?;
        warnings.extend(self.try_out()?);
        Ok(())
    }

    /// Tests the wire and waits until the hosts' servers listen. Returns warnings.
    fn try_out(&self) -> Result<Vec<Warning>> {
        let hosts: Vec<_> = self.plan.hosts.iter().zip(&self.hosts).collect();
        let inits: Vec<_> = hosts.iter().map(|(plan, host)| (*plan, host.pidfd.as_fd())).collect();
        let (silent, _) = child::run("test the wire", || Ok((wire::carries(&inits), None)))?;
        let inits: Vec<_> = hosts.iter().map(|(plan, host)| (*plan, host.init.as_raw())).collect();
        Ok(silent.into_iter().chain(wire::listens::wait(&inits)).collect())
    }
}

/// What all hosts of a lab share.
struct Ground {
    ids: Ids,
    template: RootTemplate,
}

impl Ground {
    fn starter<'a>(&'a self, plan: &'a Plan) -> HostStarter<'a> {
        HostStarter { plan, ids: &self.ids, template: &self.template }
    }
}

/// Returns the folder that netlab's programs are in.
fn programs() -> Result<PathBuf> {
    let netlab = fs::read_link("/proc/self/exe").or_lab(|| "cannot find netlab's own program")?;
    Ok(netlab.parent().unwrap_or(Path::new("/")).to_owned())
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
