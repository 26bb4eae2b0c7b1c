//! A lab for a test, taken down with it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::support::skip::skipped;
use netlab::{
    Result,
    kernel::ExitStatus,
    runtime::{Command, Process, Runtime, namespaces::Namespaces},
    topology::{HostPlan, Limits, LinkPlan, Plan, Role, SegmentPlan},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    time::{Duration, timeout},
};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The folder of `netlab` and its programs. A user without access to it gets a copy.
pub fn programs() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_netlab")).parent().unwrap();
    std::env::var_os("NETLAB_TEST_PROGRAMS").map_or_else(|| built.to_owned(), Into::into)
}

/// A lab with a state folder of its own.
pub struct Lab {
    pub runtime: Namespaces,
    pub plan: Plan,
    pub state: TempDir,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Why no lab can be built here.
async fn missing(runtime: &Namespaces) -> Option<String> {
    let error = runtime.available().await.err()?;
    Some(format!("{error}; {}", error.hint.clone().unwrap_or_default()))
}

impl Lab {
    /// A lab of a server and a client, not yet up; `None`, with the reason printed, if none is possible.
    pub async fn planned() -> Option<Self> {
        let state = tempfile::tempdir().unwrap();
        let netlab = programs().join("netlab");
        let runtime = Namespaces::new().with_program(netlab).with_state(state.path().join("labs"));
        if let Some(why) = missing(&runtime).await {
            skipped(&why);
            return None;
        }
        Some(Self { runtime, plan: plan(), state })
    }

    /// The same, and up.
    pub async fn up() -> Option<Self> {
        let lab = Self::planned().await?;
        lab.build().await.unwrap();
        Some(lab)
    }

    pub async fn build(&self) -> Result<()> {
        timeout(PATIENCE, self.runtime.up(&self.plan, &|_| ())).await.expect("up takes too long")
    }

    pub fn name(&self) -> &str {
        &self.plan.lab
    }

    /// Runs a program to its end.
    pub async fn run<const N: usize>(&self, host: &str, argv: [&str; N]) -> Output {
        self.exec(host, &Command::new(argv)).await
    }

    /// Runs a line of shell to its end.
    pub async fn sh(&self, host: &str, line: &str) -> Output {
        self.run(host, ["sh", "-c", line]).await
    }

    pub async fn exec(&self, host: &str, command: &Command) -> Output {
        let process = self.runtime.exec(self.name(), host, command).await.unwrap();
        timeout(PATIENCE, finish(process))
            .await
            .unwrap_or_else(|_| panic!("{:?} takes too long", command.argv))
    }

    pub async fn down(&self) -> bool {
        timeout(PATIENCE, self.runtime.down(self.name())).await.expect("down takes too long").unwrap()
    }
}

impl Drop for Lab {
    /// Only needed if a test has failed.
    fn drop(&mut self) {
        if let Some(keeper) = processes(self).first() {
            let _ = kill(Pid::from_raw(*keeper), Signal::SIGKILL);
        }
    }
}

/// Closes a program's input and collects the rest.
pub async fn finish(process: Process) -> Output {
    let Process { stdin, mut stdout, mut stderr, mut handle, .. } = process;
    drop(stdin);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (a, b) = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
    a.and(b).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output { status: handle.wait().await.unwrap(), stdout: text(out), stderr: text(err) }
}

/// A server and a client on one segment, under a name that no other test has.
fn plan() -> Plan {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let lab = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let subnet = "198.18.7.0/24".parse().unwrap();
    let segments = vec![SegmentPlan { name: "lan".into(), subnet }];
    let hosts = vec![host("server", Role::Server, 2), host("client", Role::Client, 3)];
    Plan { lab, segments, hosts, untrusted: false }
}

pub fn host(name: &str, role: Role, last: u8) -> HostPlan {
    let address = [198, 18, 7, last].into();
    HostPlan {
        name: name.into(),
        role,
        links: vec![LinkPlan { segment: "lan".into(), address, prefix_len: 24 }],
        routes: Vec::new(),
        run: None,
        env: BTreeMap::new(),
        mounts: Vec::new(),
        limits: Limits::default(),
    }
}

/// The processes that belong to a lab: its keeper, by its arguments, and all that it has started.
pub fn processes(lab: &Lab) -> Vec<i32> {
    let mut found = Vec::new();
    let named = format!("\0keeper\0{}\0", lab.name());
    let all: Vec<i32> =
        fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect();
    for pid in &all {
        let argv = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if argv.ends_with(named.as_bytes()) {
            found.push(*pid);
        }
    }
    // Each round adds the children of those found.
    loop {
        let more: Vec<_> = all
            .iter()
            .filter(|pid| !found.contains(pid) && parent(**pid).is_some_and(|parent| found.contains(&parent)))
            .copied()
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

pub fn keeper(lab: &Lab) -> Pid {
    Pid::from_raw(processes(lab)[0])
}
