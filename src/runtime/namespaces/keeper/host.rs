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
    super::{protocol::Failure, sys},
    cgroup::Membership,
    enter_namespaces, filter,
    log::Log,
    network,
    root::{INIT, PROGRAMS, Stage},
    spawn,
};
use crate::{
    Error, Result,
    error::Context,
    runtime::Command,
    topology::{HostPlan, Plan, Role},
};

/// A host as its keeper knows it.
pub struct Host {
    /// Its PID 1, as numbered here.
    pub init: Pid,
    /// The same process, for good.
    pub pidfd: OwnedFd,
    /// Whether that has not ended.
    pub alive: bool,
    /// Where its own programs print.
    pub log: Log,
    /// What bounds it.
    pub membership: Membership,
}

/// Holds hosts back until their links are there, and hears how they did.
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

    /// Lets `hosts` hosts go on, and waits until the PID 1 of each says that its network is ready.
    pub fn open(&mut self, hosts: usize) -> Result<()> {
        self.outcome.1 = None;
        if let Some(go) = &mut self.go.1 {
            go.write_all(&vec![1; hosts]).or_lab(|| "the hosts are gone")?;
        }
        let mut text = String::new();
        self.outcome.0.read_to_string(&mut text).or_lab(|| "cannot hear of the hosts")?;
        match text.lines().next().map(serde_json::from_str::<Failure>) {
            None => Ok(()),
            Some(Ok(failure)) => Err(failure.into()),
            Some(Err(e)) => Err(e).or_lab(|| "cannot understand a host"),
        }
    }
}

impl Host {
    /// Starts host number `n` of the plan on a copy of the stage that this process is on. It waits at
    /// the gate until its links are there.
    pub fn start(
        stage: &Stage,
        plan: &Plan,
        n: usize,
        log: Log,
        membership: Membership,
        gate: &mut Gate,
    ) -> Result<Self> {
        let (init, pidfd) = boot(stage, plan, n, &log, &membership, gate)?;
        Ok(Self { init, pidfd, alive: true, log, membership })
    }

    /// Starts it again, once it has ended.
    pub fn restart(&mut self, stage: &Stage, plan: &Plan, n: usize, gate: &mut Gate) -> Result<()> {
        (self.init, self.pidfd) = boot(stage, plan, n, &self.log, &self.membership, gate)?;
        self.alive = true;
        Ok(())
    }
}

/// Makes the process that becomes the host's PID 1.
fn boot(
    stage: &Stage,
    plan: &Plan,
    n: usize,
    log: &Log,
    membership: &Membership,
    gate: &mut Gate,
) -> Result<(Pid, OwnedFd)> {
    let host = &plan.hosts[n];
    let what = || format!("cannot start host {}", host.name);
    let init = sys::clone(namespaces(), || {
        // Or this copy of the pipe's end would keep the reading end from ever ending.
        gate.go.1 = None;
        let Some(outcome) = &mut gate.outcome.1 else { return 1 };
        let Err(error) = become_host(stage, host, n, log, membership, &gate.go.0, outcome);
        if let Ok(mut line) = serde_json::to_vec(&Failure::from(&error)) {
            line.push(b'\n');
            // If the keeper is gone there is nobody to tell.
            let _ = outcome.write_all(&line);
        }
        1
    })
    .or_lab(what)?;
    let pidfd = sys::pidfd_open(init).or_lab(what)?;
    Ok((init, pidfd))
}

fn namespaces() -> CloneFlags {
    CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
}

fn become_host(
    stage: &Stage,
    host: &HostPlan,
    n: usize,
    log: &Log,
    membership: &Membership,
    mut go: &PipeReader,
    ready: &PipeWriter,
) -> Result<Infallible> {
    let what = || format!("cannot start host {}", host.name);
    set_pdeathsig(Signal::SIGKILL).or_lab(what)?;
    membership.join().or_lab(what)?;
    stage.enter(host, n)?;
    sethostname(&host.name).or_lab(what)?;
    // Ends without a byte if the keeper died before the signal of its death was asked for.
    go.read_exact(&mut [0]).or_lab(|| "the keeper is gone")?;
    network::configure(host)?;

    // Which it closes when the network is ready, and so lets the keeper know.
    dup2_stdin(ready).or_lab(what)?;
    dup2_stdout(log.inlet()).or_lab(what)?;
    dup2_stderr(log.inlet()).or_lab(what)?;
    setsid().or_lab(what)?;
    filter::forbid_user_namespaces()?;
    spawn::settle().or_lab(what)?;
    let init = format!("{PROGRAMS}/{INIT}");
    let mut argv = vec![init.clone()];
    for route in &host.routes {
        argv.extend(["--route".into(), route.to.to_string(), route.via.to_string()]);
    }
    if host.role == Role::Router {
        argv.push("--forward".into());
    }
    if let Some(command) = &host.run {
        argv.extend(["--".into(), command.clone()]);
    }
    spawn::execute(&init, &argv, &spawn::environment(host, &Command::default()))
        .or_lab(|| format!("cannot run {init}"))
}

/// Tries everything that a host takes, but for links.
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
    let netlab = std::fs::read_link("/proc/self/exe").or_lab(|| "cannot find netlab's own program")?;
    let user = enter_namespaces()?;
    let stage = Stage::build(&plan, folder, netlab.parent().unwrap_or(Path::new("/")), !user)?;
    let (mut reader, mut writer) = pipe().or_lab(|| "cannot make a pipe")?;
    let child = stage.visit(|| {
        let child = sys::clone(namespaces(), || {
            let entered = stage.enter(&plan.hosts[0], 0).and_then(|()| network::configure(&plan.hosts[0]));
            if let Err(error) = entered {
                let _ = serde_json::to_writer(&mut writer, &Failure::from(&error));
            }
            0
        });
        child.or_lab(|| "cannot make namespaces")
    })?;
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).or_lab(|| "cannot hear of the probe")?;
    match (serde_json::from_str::<Failure>(&text), waitpid(child, None)) {
        (Ok(failure), _) => Err(failure.into()),
        (_, Ok(WaitStatus::Exited(_, 0))) => Ok(()),
        _ => Err(Error::lab("a host could not be tried")),
    }
}
