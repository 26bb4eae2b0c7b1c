//! Checks a trial lab: its runtime, its wire, its limits and netem.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use ipnet::Ipv4Net;
use tokio::io::AsyncReadExt;

use super::{
    Finding, State,
    machine::install,
    walls::{self, Users},
};
use crate::{
    Error, Result,
    error::Context,
    kernel::ExitStatus,
    runtime::{Command, Lack, Runtime, RuntimeKind, Step, lacking, namespaces::Namespaces},
    topology::{HostPlan, Limits, LinkPlan, Mount, Plan, Role, SegmentPlan},
};

/// How long the trial may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Builds a lab on namespaces and takes it down again. Returns what that showed.
pub async fn namespaces() -> Vec<Finding> {
    let why = "labs without Docker, with nothing but this kernel";
    let trial = match tokio::time::timeout(PATIENCE, Trial::run()).await {
        Ok(trial) => trial,
        Err(_) => {
            clear().await.and(Err(Error::lab(format!("could not build a lab of two hosts in {PATIENCE:?}"))))
        }
    };
    let trial = match trial {
        Ok(trial) => trial,
        Err(error) => return vec![Finding::failed("namespaces", why, &error, "use Docker, or root")],
    };
    let who = if nix::unistd::geteuid().is_root() { "as root" } else { "as an ordinary user" };
    let built =
        format!("built two hosts and a wire {who} and took them down, in {} ms", trial.took.as_millis());
    let mut findings = vec![
        Finding::ok("namespaces", why, built),
        limits(&trial),
        wire(RuntimeKind::Namespaces, &trial.said),
        netem(&trial),
    ];
    findings.extend(walls::examine(&trial.users));
    findings
}

/// Returns the finding about the wire of a trial lab, from the steps reported while it was built.
pub fn wire(on: RuntimeKind, said: &[Step]) -> Finding {
    let finding = |detail| {
        let why =
            "keeping hosts from forging addresses, and frames from leaving the lab or reaching this machine";
        Finding::ok("wire", why, detail)
    };
    match (lacking(said, Lack::ClosedWire), on) {
        (None, _) => finding(format!("closed, on {on}")),
        (Some(open), RuntimeKind::Docker) => {
            let fix = "a local engine that is not rootless; or --runtime namespaces";
            finding(format!("{open}, on {on}")).bad(State::Warn, fix)
        }
        (Some(open), RuntimeKind::Namespaces) => {
            finding(format!("{open}, on {on}")).bad(State::Warn, "sudo modprobe -a sch_ingress cls_bpf")
        }
    }
}

fn limits(trial: &Trial) -> Finding {
    let finding =
        |detail: &str| Finding::ok("limits", "limiting a host's memory, processor and processes", detail);
    match lacking(&trial.said, Lack::Limit) {
        None => finding("control groups can be created"),
        // Started like this, netlab is in a control group whose parent belongs to the user.
        Some(first) if Path::new("/run/systemd/system").is_dir() => {
            finding(first).bad(State::Warn, "systemd-run --user --scope netlab up")
        }
        Some(first) => finding(first).bad(State::Warn, "use Docker, or root, if limits matter"),
    }
}

fn netem(trial: &Trial) -> Finding {
    let finding = |detail: &str| Finding::ok("netem", "links that delay and drop packets", detail);
    match &trial.netem {
        Netem::Works => finding("the kernel can delay and drop packets"),
        Netem::NoTool => finding("cannot be tried without tc").bad(State::Warn, install(&["tc"])),
        Netem::Fails(why) => finding(&format!("the kernel lacks netem, or has not loaded it: {why}"))
            .bad(State::Warn, "sudo modprobe sch_netem"),
    }
}

struct Trial {
    took: Duration,
    /// The steps reported meanwhile.
    said: Vec<Step>,
    users: Users,
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
        let (netem, map) = match &up {
            Ok(()) => (try_netem(&runtime, &plan.lab).await, user_map(&runtime, &plan.lab).await),
            Err(_) => (Ok(Netem::NoTool), Ok(String::new())),
        };
        let started = Instant::now();
        let down = runtime.down(&plan.lab).await;
        up.and(down)?;
        let said = said.into_inner().unwrap_or_default();
        let unmapped = lacking(&said, Lack::Owners).map(str::to_owned);
        let users = Users { map: map?, unmapped };
        Ok(Self { took: up_took + started.elapsed(), said, users, netem: netem? })
    }
}

/// Returns the user map of a host: its `/proc/self/uid_map`, see user_namespaces(7).
async fn user_map(runtime: &dyn Runtime, lab: &str) -> Result<String> {
    let mut process = runtime.exec(lab, "client", &Command::new(["cat", "/proc/self/uid_map"])).await?;
    let mut map = String::new();
    process.stdout.read_to_string(&mut map).await.or_lab(|| "cannot read a host's user map")?;
    process.handle.wait().await.map(|_| map)
}

async fn try_netem(runtime: &dyn Runtime, lab: &str) -> Result<Netem> {
    let tc = "tc qdisc add dev eth0 root netem delay 1ms";
    let Ok(mut process) = runtime.exec(lab, "client", &Command::new(tc.split(' '))).await else {
        return Ok(Netem::NoTool);
    };
    let mut said = String::new();
    process.stderr.read_to_string(&mut said).await.or_lab(|| "cannot read what tc says")?;
    Ok(match process.handle.wait().await? {
        ExitStatus::Exited(0) => Netem::Works,
        ExitStatus::Exited(126 | 127) => Netem::NoTool,
        _ => Netem::Fails(said.lines().next().unwrap_or("tc failed").to_owned()),
    })
}

/// Takes the trial lab down, if there is one.
pub async fn clear() -> Result<()> {
    Namespaces::new().down(&lab()).await.map(drop)
}

/// Returns the name of a trial lab, on either runtime.
pub fn lab() -> String {
    format!("doctor-{}", std::process::id())
}

/// Returns a plan of two hosts on a wire, one of them with every limit.
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
    let mut client = host("client", 3, Limits::default());
    // Mounted like a workspace, which is mostly where `doctor` is run.
    client.mounts = std::env::current_dir().ok().into_iter().map(here).collect();
    Plan {
        lab: lab(),
        segments: vec![SegmentPlan { name: "wire".into(), subnet }],
        hosts: vec![host("server", 2, limits), client],
        untrusted: false,
    }
}

fn here(source: PathBuf) -> Mount {
    Mount { source, target: "/srv/here".into(), read_only: true, copy: None }
}
