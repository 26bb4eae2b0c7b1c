//! The runtimes: an engine that answers, and a lab of namespaces that is really built.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use ipnet::Ipv4Net;
use tokio::io::AsyncReadExt;

use super::{Finding, State, machine::install};
use crate::{
    Error, Result,
    error::Context,
    runtime::{Command, ExitStatus, Runtime, namespaces::Namespaces},
    topology::{HostPlan, Limits, LinkPlan, Plan, Role, SegmentPlan},
};

/// How long the trial may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The trial, and what it showed besides.
pub async fn namespaces() -> Vec<Finding> {
    let why = "labs without Docker: nothing but this kernel";
    let trial = match tokio::time::timeout(PATIENCE, Trial::run()).await {
        Ok(trial) => trial,
        Err(_) => clear().await.and(Err(Error::lab(format!("no lab of two hosts within {PATIENCE:?}")))),
    };
    let trial = match trial {
        Ok(trial) => trial,
        Err(error) => return vec![Finding::failed("namespaces", why, &error, "use Docker, or root")],
    };
    let who = if nix::unistd::geteuid().is_root() { "as root" } else { "as an ordinary user" };
    let built =
        format!("built two hosts and a wire {who} and took them down, in {} ms", trial.took.as_millis());
    vec![Finding::ok("namespaces", why, built), limits(&trial), netem(&trial)]
}

fn limits(trial: &Trial) -> Finding {
    let finding =
        |detail: &str| Finding::ok("limits", "holds a host to its memory, processor and processes", detail);
    match trial.unlimited.as_slice() {
        [] => finding("control groups can be made"),
        // Started like this, netlab is in a group whose parent is the user's own.
        [first, ..] if Path::new("/run/systemd/system").is_dir() => {
            finding(first).bad(State::Warn, "systemd-run --user --scope netlab up")
        }
        [first, ..] => finding(first).bad(State::Warn, "use Docker, or root, where limits matter"),
    }
}

fn netem(trial: &Trial) -> Finding {
    let finding = |detail: &str| Finding::ok("netem", "links that delay and lose packets", detail);
    match &trial.netem {
        Netem::Works => finding("the kernel can delay and lose packets"),
        Netem::NoTool => finding("cannot be tried without tc").bad(State::Warn, install(&["tc"])),
        Netem::Fails(why) => finding(&format!("the kernel has no netem, or has not loaded it: {why}"))
            .bad(State::Warn, "sudo modprobe sch_netem"),
    }
}

struct Trial {
    took: Duration,
    /// What was said of limits that could not be had.
    unlimited: Vec<String>,
    netem: Netem,
}

enum Netem {
    Works,
    NoTool,
    Fails(String),
}

impl Trial {
    async fn run() -> Result<Self> {
        let runtime = Namespaces::new();
        let plan = plan();
        let said = Mutex::new(Vec::new());
        let started = Instant::now();
        let up = runtime.up(&plan, &|step| said.lock().map_or((), |mut said| said.push(step))).await;
        let up_took = started.elapsed();
        let netem = match &up {
            Ok(()) => try_netem(&runtime, &plan.lab).await,
            Err(_) => Ok(Netem::NoTool),
        };
        let started = Instant::now();
        let down = runtime.down(&plan.lab).await;
        up.and(down)?;
        let said = said.into_inner().unwrap_or_default();
        let unlimited = said.into_iter().filter(|step| step.unlimited).map(|step| step.what).collect();
        Ok(Self { took: up_took + started.elapsed(), unlimited, netem: netem? })
    }
}

async fn try_netem(runtime: &dyn Runtime, lab: &str) -> Result<Netem> {
    let tc = "tc qdisc add dev eth0 root netem delay 1ms";
    let Ok(mut process) = runtime.exec(lab, "client", &Command::new(tc.split(' '))).await else {
        return Ok(Netem::NoTool);
    };
    let mut said = String::new();
    process.stderr.read_to_string(&mut said).await.or_lab(|| "cannot hear tc")?;
    Ok(match process.handle.wait().await? {
        ExitStatus::Exited(0) => Netem::Works,
        ExitStatus::Exited(126 | 127) => Netem::NoTool,
        _ => Netem::Fails(said.lines().next().unwrap_or("tc failed").to_owned()),
    })
}

/// Takes the trial down, if there is one.
pub async fn clear() -> Result<()> {
    Namespaces::new().down(&lab()).await.map(drop)
}

fn lab() -> String {
    format!("doctor-{}", std::process::id())
}

/// Two hosts on a wire, one of them with every limit.
fn plan() -> Plan {
    let subnet = Ipv4Net::new_assert(Ipv4Addr::new(198, 19, 255, 0), 24);
    let host = |name: &str, number: u8, limits: Limits| HostPlan {
        name: name.into(),
        role: Role::Client,
        links: vec![LinkPlan {
            segment: "wire".into(),
            address: Ipv4Addr::new(198, 19, 255, number),
            prefix_len: subnet.prefix_len(),
        }],
        routes: Vec::new(),
        run: None,
        env: BTreeMap::new(),
        mounts: Vec::new(),
        limits,
    };
    let limits = Limits { memory: Some(256 << 20), millicpus: Some(1000), pids: Some(100), disk: None };
    Plan {
        lab: lab(),
        segments: vec![SegmentPlan { name: "wire".into(), subnet }],
        hosts: vec![host("server", 2, limits), host("client", 3, Limits::default())],
        untrusted: false,
    }
}
