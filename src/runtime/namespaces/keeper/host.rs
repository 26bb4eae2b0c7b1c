//! A host: a process in namespaces of its own, which becomes the host's PID 1.

use std::{
    convert::Infallible,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    os::fd::OwnedFd,
    path::Path,
};

use nix::{
    sched::CloneFlags,
    sys::{
        prctl::set_pdeathsig,
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, sethostname, setsid},
};

use super::{
    super::protocol::Failure, cgroup::Membership, child, ids::Ids, log::Log, network, rootfs::RootTemplate,
    spawn,
};
use crate::{
    Error, Result,
    error::Context,
    kernel::sys,
    privileges::{Capabilities, restrict_calls},
    programs::{FOLDER, INIT},
    runtime::Command,
    topology::{HostPlan, Plan, Role},
};

/// A host as its keeper knows it.
pub struct Host {
    /// Its PID 1, in the keeper's PID namespace.
    pub init: Pid,
    /// A stable reference to the same process.
    pub pidfd: OwnedFd,
    /// Whether that process is alive.
    pub alive: bool,
    /// The log of its own programs.
    pub log: Log,
    /// The control groups that limit it.
    pub membership: Membership,
}

/// Holds hosts back until their links exist, and collects their results.
pub struct Gate {
    go: (PipeReader, Option<PipeWriter>),
    outcome: (PipeReader, Option<PipeWriter>),
}

impl Gate {
    pub fn new() -> Result<Self> {
        let both = || Ok::<_, std::io::Error>((pipe()?, pipe()?));
        let (go, outcome) = both().or_lab(|| "cannot make a pipe")?;
        Ok(Self { go: (go.0, Some(go.1)), outcome: (outcome.0, Some(outcome.1)) })
    }

    /// Releases `hosts` hosts, and waits until each one's PID 1 reports that its network is ready.
    pub fn open(&mut self, hosts: usize) -> Result<()> {
        self.outcome.1 = None;
        if let Some(go) = &mut self.go.1 {
            go.write_all(&vec![1; hosts]).or_lab(|| "the hosts are gone")?;
        }
        let mut text = String::new();
        self.outcome.0.read_to_string(&mut text).or_lab(|| "cannot read the hosts' results")?;
        match text.lines().next().map(serde_json::from_str::<Failure>) {
            None => Ok(()),
            Some(Ok(failure)) => Err(failure.into()),
            Some(Err(e)) => Err(e).or_lab(|| "cannot parse a host's result"),
        }
    }
}

/// Starts the hosts of a lab.
#[derive(Clone, Copy)]
pub struct HostStarter<'a> {
    pub plan: &'a Plan,
    pub ids: &'a Ids,
    pub template: &'a RootTemplate,
}

impl HostStarter<'_> {
    /// Creates the processes that become the PID 1s of these hosts of the plan, each with its log and its
    /// groups. They wait at the gate until their links exist.
    pub fn boot(&self, hosts: &[(usize, &Log, &Membership)], gate: &mut Gate) -> Result<Vec<(Pid, OwnedFd)>> {
        let (pids, _) = child::run("start the hosts", || {
            self.template.go()?;
            self.ids.become_root().or_lab(|| "cannot become the hosts' root")?;
            let inits = hosts.iter().map(|(n, log, membership)| self.start(*n, log, membership, gate));
            Ok((inits.collect::<Result<Vec<i32>>>()?, None))
        })?;
        let known = |pid| {
            let pid = Pid::from_raw(pid);
            Ok((pid, sys::pidfd_open(pid).or_lab(|| "cannot watch a host")?))
        };
        pids.into_iter().map(known).collect()
    }

    /// Creates one of them, as a child of the keeper rather than of this process.
    fn start(&self, n: usize, log: &Log, membership: &Membership, gate: &mut Gate) -> Result<i32> {
        let host = &self.plan.hosts[n];
        let init = sys::clone(namespaces() | CloneFlags::CLONE_PARENT, || {
            // Otherwise this copy of the writing end would keep the pipe open.
            gate.go.1 = None;
            let Some(outcome) = &mut gate.outcome.1 else { return 1 };
            let Err(error) = self.become_host(n, log, membership, &gate.go.0, outcome);
            if let Ok(mut line) = serde_json::to_vec(&Failure::from(&error)) {
                line.push(b'\n');
                // If the keeper is gone, nobody needs the error.
                let _ = outcome.write_all(&line);
            }
            1
        });
        init.map(Pid::as_raw).or_lab(|| format!("cannot start host {}", host.name))
    }

    fn become_host(
        &self,
        n: usize,
        log: &Log,
        membership: &Membership,
        mut go: &PipeReader,
        ready: &PipeWriter,
    ) -> Result<Infallible> {
        let host = &self.plan.hosts[n];
        let what = || format!("cannot start host {}", host.name);
        set_pdeathsig(Signal::SIGKILL).or_lab(what)?;
        membership.join().or_lab(what)?;
        self.template.enter(host, n)?;
        sethostname(&host.name).or_lab(what)?;
        // Fails without a byte if the keeper died before PR_SET_PDEATHSIG took effect.
        go.read_exact(&mut [0]).or_lab(|| "the keeper is gone")?;
        network::configure(host)?;

        // PID 1 closes it when the network is ready, which tells the keeper.
        dup2_stdin(ready).or_lab(what)?;
        dup2_stdout(log.inlet()).or_lab(what)?;
        dup2_stderr(log.inlet()).or_lab(what)?;
        setsid().or_lab(what)?;
        // With the capabilities to set up the network; PID 1 later drops them for itself and all its
        // children.
        spawn::settle(Capabilities::PEOPLE).or_lab(what)?;
        restrict_calls()?;
        let init = format!("{FOLDER}/{INIT}");
        let argv = [vec![init.clone()], init_arguments(host, self.plan.untrusted)].concat();
        spawn::execute(&init, &argv, &spawn::environment(host, &Command::default()))
            .or_lab(|| format!("cannot run {init}"))
    }
}

fn namespaces() -> CloneFlags {
    CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
}

fn init_arguments(host: &HostPlan, untrusted: bool) -> Vec<String> {
    let mut arguments = Vec::new();
    for route in &host.routes {
        arguments.extend(["--route".into(), route.to.to_string(), route.via.to_string()]);
    }
    if host.role == Role::Router {
        arguments.push("--forward".into());
    }
    if untrusted {
        arguments.push("--untrusted".into());
    }
    if let Some(command) = &host.run {
        arguments.extend(["--".into(), command.clone()]);
    }
    arguments
}

/// Tests everything that a host needs, except links.
pub fn probe(folder: &Path) -> Result<()> {
    let host = HostPlan {
        name: "probe".into(),
        role: Role::Client,
        links: Vec::new(),
        routes: Vec::new(),
        run: None,
        env: std::collections::BTreeMap::default(),
        mounts: Vec::new(),
        limits: crate::topology::Limits::default(),
    };
    let plan = Plan { lab: "probe".into(), segments: Vec::new(), hosts: vec![host], untrusted: false };
    let ids = Ids::claim(&plan, folder)?;
    let template = RootTemplate::build(&plan, &super::programs()?, &ids, &mut Vec::new())?;
    child::run("test a host", || {
        template.go()?;
        ids.become_root().or_lab(|| "cannot become the host's root")?;
        let host = sys::clone(namespaces(), || {
            let entered = template.enter(&plan.hosts[0], 0).and_then(|()| network::configure(&plan.hosts[0]));
            let entered = entered.map_err(|error| eprintln!("{}", error.with_causes()));
            isize::from(entered.is_err())
        });
        match host.and_then(|host| waitpid(host, None)) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(((), None)),
            Ok(_) => Err(Error::lab("a host could not be tested")),
            Err(e) => Err(e).or_lab(|| "cannot make namespaces"),
        }
    })
    .map(drop)
}
