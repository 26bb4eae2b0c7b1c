//! What a lab's hosts are made of.
//!
//! [`Runtime`] is the whole seam: whatever is above it (commands, exercises, verdicts) neither knows
//! nor asks which one it runs on, and one conformance suite holds both to the same behaviour.

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

/// Bytes as they come.
pub type ByteStream = Box<dyn AsyncRead + Send + Unpin>;

/// Which runtime, as a user names it.
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

/// A lab as its runtime finds it.
#[derive(Clone, Debug)]
pub struct LabState {
    /// The plan it was built from.
    pub plan: Plan,
    /// How each of the plan's hosts does, in the plan's order.
    pub hosts: Vec<HostState>,
    /// Whether it is being built or removed, or was when whoever did so was ended by force. Its hosts may run, and not
    /// for long.
    pub half_way: bool,
    /// Whose it is, where users share what it is made of.
    pub owner: Option<Owner>,
}

impl LabState {
    /// Whether every host runs, and is to go on. A lab that is not whole was left by a crash, or a host of it died.
    pub fn is_whole(&self) -> bool {
        !self.half_way && self.hosts.iter().all(|h| *h == HostState::Running)
    }

    /// Whose it is, if that is somebody else.
    pub fn other_owner(&self) -> Option<&Owner> {
        self.owner.as_ref().filter(|owner| !owner.is_me())
    }

    /// Whether the host of that name runs.
    pub fn is_running(&self, host: &str) -> bool {
        self.plan.hosts.iter().zip(&self.hosts).any(|(h, s)| h.name == host && *s == HostState::Running)
    }
}

/// How a host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// Its PID 1 is alive.
    Running,
    /// It was made, and its PID 1 is gone.
    Stopped,
    /// It was never made, or is gone without a trace.
    Missing,
}

/// How far a long piece of work has come.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// What is being done, as `building the image`.
    pub what: String,
    /// How much of it is done, out of `total`.
    pub done: u64,
    /// How much there is to do, where that is known.
    pub total: Option<u64>,
    /// Whether it is worth knowing afterwards, too.
    pub lasting: bool,
    /// What the lab comes up without, if it says that.
    pub lacks: Option<Lack>,
}

/// What a lab can come up without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lack {
    /// A limit on what a host may use.
    Limit,
    /// A folder of the machine that a host sees as its own: its file system cannot map owners.
    Owners,
    /// A wire that is closed: hosts can speak with one another's addresses, or to the machine.
    ClosedWire,
    /// A wire that carries: some host does not hear another.
    Wire,
    /// A server that listens, on a host that is there to serve.
    Server,
}

/// What a lab comes up without, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it lacks.
    pub lacks: Lack,
    /// Which part of it, and why, for a person.
    pub text: String,
}

impl From<Warning> for Step {
    fn from(warning: Warning) -> Self {
        Self { what: warning.text, lasting: true, lacks: Some(warning.lacks), ..Self::default() }
    }
}

/// What was said of such a lack, if it was.
pub fn lacking(said: &[Step], lack: Lack) -> Option<&str> {
    said.iter().find(|step| step.lacks == Some(lack)).map(|step| step.what.as_str())
}

/// Who is told of progress.
pub type Progress<'a> = &'a (dyn Fn(Step) + Send + Sync);

/// What must be watched to see a whole lab from outside, in the words of the machine that the
/// observer runs on. It is the observer's first message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    /// The hosts.
    pub hosts: Vec<WatchedHost>,
    /// The segments.
    pub segments: Vec<Interface>,
}

/// A host, to its observer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchedHost {
    /// The host's name.
    pub name: String,
    /// Its PID 1, as numbered where the observer runs.
    pub init: i32,
}

/// A way to make hosts.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Which one this is.
    fn kind(&self) -> RuntimeKind;

    /// Subnets that a new lab must stay clear of.
    async fn taken_subnets(&self) -> Result<Vec<Ipv4Net>>;

    /// Builds the lab, clearing first whatever a broken lab of that name left. One that is whole stays, which is an
    /// error. Nobody is told of progress before it is this one's turn to change anything.
    ///
    /// On an error everything made so far is taken down again. Dropping the future leaves what was
    /// made; [`Runtime::down`] finds it.
    async fn up(&self, plan: &Plan, progress: Progress<'_>) -> Result<()>;

    /// Takes down the lab and whatever a crash left of it, and touches nothing else. Goes on past
    /// failures and reports them together. Says whether there was anything.
    async fn down(&self, lab: &str) -> Result<bool>;

    /// The names of the user's own labs, also of such that nothing is known of but that there is something to clear.
    async fn names(&self) -> Result<Vec<String>>;

    /// Every lab of this runtime that the user may see, whole or not.
    async fn labs(&self) -> Result<Vec<LabState>>;

    /// The lab of that name, whole or not.
    async fn lab(&self, lab: &str) -> Result<Option<LabState>>;

    /// Cuts a host's power: first its links go, so that nothing of its end reaches the wire, then every
    /// process at once. What it had in files of its own is gone. One that is stopped stays so.
    async fn stop_host(&self, lab: &str, host: &str) -> Result<()>;

    /// Gives a stopped host its power back: same name, same addresses, its own command started anew.
    /// One that runs stays as it is. Tells an observer's reader what is to be watched now.
    async fn start_host(&self, lab: &str, host: &str) -> Result<WatchedHost>;

    /// Runs a program on a host, its streams held by the caller.
    async fn exec(&self, lab: &str, host: &str, command: &Command) -> Result<Process>;

    /// Starts a program on a host that goes on by itself; what it prints goes to the host's log.
    async fn start(&self, lab: &str, host: &str, command: &Command) -> Result<()>;

    /// What the host's own programs have printed so far; with `follow`, also what they print next.
    async fn logs(&self, lab: &str, host: &str, follow: bool) -> Result<ByteStream>;

    /// Starts an observer of the whole lab: `netlab observe`, outside the hosts, which speaks
    /// [`crate::observer::protocol`] on its streams until its input ends.
    async fn observe(&self, lab: &str) -> Result<(Process, Watch)>;

    /// Which limits the hosts of that plan have met since they are up, as far as can be told: an engine does not count
    /// it, nor does a machine without control groups.
    async fn limits_reached(&self, plan: &Plan) -> Vec<LimitReached> {
        match self.kind() {
            RuntimeKind::Namespaces => reached::of(plan),
            RuntimeKind::Docker => Vec::new(),
        }
    }
}
