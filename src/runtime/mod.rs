//! What a lab's hosts run on: Docker or Linux namespaces.
//!
//! [`Runtime`] is the whole interface: the layers above it (commands, exercises, verdicts) neither know nor
//! ask which runtime they use, and one conformance suite holds both to the same behaviour.

mod build;
pub mod docker;
pub mod namespaces;
pub mod owner;
mod process;
pub mod reached;
mod select;
pub mod wire;

use std::fmt;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use crate::{Result, capture::Interface, topology::Plan};

pub use build::build;
pub use owner::Owner;
pub use process::{Command, Handle, Process, TerminalSize};
pub use reached::LimitReached;
pub use select::{Choice, choose, expect, find, reachable};

/// A stream of bytes.
pub type ByteStream = Box<dyn AsyncRead + Send + Unpin>;

/// A runtime, as a user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Containers of a Docker engine.
    Docker,
    /// Linux namespaces and nothing else.
    Namespaces,
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Docker => "docker",
            Self::Namespaces => "namespaces",
        })
    }
}

/// A lab, as its runtime reports it.
#[derive(Clone, Debug)]
pub struct LabState {
    /// The plan it was built from.
    pub plan: Plan,
    /// The state of each of the plan's hosts, in the plan's order.
    pub hosts: Vec<HostState>,
    /// Whether it is being built or removed, or was left half-way when that process was killed. Its hosts may
    /// run, but not for long.
    pub half_way: bool,
    /// Its owner, where users share what labs are made of (a Docker engine).
    pub owner: Option<Owner>,
}

impl LabState {
    /// Returns whether every host runs and no change is under way. A lab that is not whole was left by a
    /// crash, or one of its hosts died.
    pub fn is_whole(&self) -> bool {
        !self.half_way && self.hosts.iter().all(|h| *h == HostState::Running)
    }

    /// Returns its owner, if that is another user.
    pub fn other_owner(&self) -> Option<&Owner> {
        self.owner.as_ref().filter(|owner| !owner.is_me())
    }

    /// Returns whether the host of that name runs.
    pub fn is_running(&self, host: &str) -> bool {
        self.plan.hosts.iter().zip(&self.hosts).any(|(h, s)| h.name == host && *s == HostState::Running)
    }
}

/// The state of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// Its PID 1 is alive.
    Running,
    /// It was created, and its PID 1 has ended.
    Stopped,
    /// It was never created, or nothing is left of it.
    Missing,
}

/// Progress of a long operation.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// What is being done, e.g. `building the image`.
    pub what: String,
    /// How much of it is done, out of `total`, in any unit.
    pub done: u64,
    /// The amount of work, if known.
    pub total: Option<u64>,
    /// Whether the line should stay visible afterwards.
    pub lasting: bool,
    /// What the lab comes up without, if this step says so.
    pub lacks: Option<Lack>,
}

/// Something that a lab can come up without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lack {
    /// A limit on what a host may use.
    Limit,
    /// Owners of a mounted folder: its file system cannot map owners.
    Owners,
    /// A closed wire: hosts can send with one another's addresses, or reach the machine.
    ClosedWire,
    /// A working wire: some host does not receive another's packets.
    Wire,
    /// A listening server, on a host whose role is to serve.
    Server,
}

/// A warning about something that a lab comes up without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What is lacking.
    pub lacks: Lack,
    /// Which part is affected and why, for people.
    pub text: String,
}

impl From<Warning> for Step {
    fn from(warning: Warning) -> Self {
        Self { what: warning.text, lasting: true, lacks: Some(warning.lacks), ..Self::default() }
    }
}

/// Returns the text of the first step that reports this lack.
pub fn lacking(said: &[Step], lack: Lack) -> Option<&str> {
    said.iter().find(|step| step.lacks == Some(lack)).map(|step| step.what.as_str())
}

/// A callback that receives progress.
pub type Progress<'a> = &'a (dyn Fn(Step) + Send + Sync);

/// What an observer must watch to see a whole lab from outside, with the pids and names of the machine that
/// it runs on. This is the observer's first message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    /// The hosts.
    pub hosts: Vec<WatchedHost>,
    /// The segments.
    pub segments: Vec<Interface>,
}

/// A host, as its observer knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchedHost {
    /// The host's name.
    pub name: String,
    /// Its PID 1, numbered in the observer's PID namespace.
    pub init: i32,
}

/// A way to run labs.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Returns which runtime this is.
    fn kind(&self) -> RuntimeKind;

    /// Returns the subnets that a new lab must not use.
    async fn taken_subnets(&self) -> Result<Vec<Ipv4Net>>;

    /// Builds the lab, after clearing whatever a broken lab of that name left. A whole lab of that name
    /// stays, and is an error. Progress is reported only once this call has its turn to change the lab.
    ///
    /// On an error everything created so far is taken down again. Dropping the future leaves what was
    /// created; [`Runtime::down`] finds it.
    async fn up(&self, plan: &Plan, progress: Progress<'_>) -> Result<()>;

    /// Takes down the lab and whatever a crash left of it, and touches nothing else. Continues after failures
    /// and reports them together. Returns whether there was anything to take down.
    async fn down(&self, lab: &str) -> Result<bool>;

    /// Returns the names of the user's own labs, including those of which only remains to be cleared exist.
    async fn names(&self) -> Result<Vec<String>>;

    /// Returns every lab of this runtime that the user may see, whole or not.
    async fn labs(&self) -> Result<Vec<LabState>>;

    /// Returns the lab of that name, whole or not.
    async fn lab(&self, lab: &str) -> Result<Option<LabState>>;

    /// Cuts a host's power: first its links, so that nothing of its end reaches the wire, then all processes
    /// at once. Its own files are lost. A stopped host stays stopped.
    async fn stop_host(&self, lab: &str, host: &str) -> Result<()>;

    /// Starts a stopped host again: same name, same addresses, its own command run again. A running host is
    /// left alone. Returns what an observer must watch now.
    async fn start_host(&self, lab: &str, host: &str) -> Result<WatchedHost>;

    /// Runs a program on a host and returns its streams.
    async fn exec(&self, lab: &str, host: &str, command: &Command) -> Result<Process>;

    /// Starts a program on a host in the background; its output goes to the host's log.
    async fn start(&self, lab: &str, host: &str, command: &Command) -> Result<()>;

    /// Returns what the host's own programs have printed so far; with `follow`, also what they print next.
    async fn logs(&self, lab: &str, host: &str, follow: bool) -> Result<ByteStream>;

    /// Starts an observer of the whole lab: `netlab observe`, outside the hosts. It speaks
    /// [`crate::observer::protocol`] on its streams until its input ends.
    async fn observe(&self, lab: &str) -> Result<(Process, Watch)>;

    /// Returns which limits the plan's hosts have reached since they started, as far as known: an engine does
    /// not count this, nor does a machine without control groups.
    async fn limits_reached(&self, plan: &Plan) -> Vec<LimitReached> {
        match self.kind() {
            RuntimeKind::Namespaces => reached::of(plan),
            RuntimeKind::Docker => Vec::new(),
        }
    }
}
