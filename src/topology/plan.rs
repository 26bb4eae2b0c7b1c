//! The plan of a lab: every host by its own name, every address chosen, nothing left to default.
//!
//! A runtime needs nothing but this to build a lab, and a lab carries its plan with it (a label on
//! Docker, a file beside the keeper's socket), so that no later command needs the YAML again.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// What a runtime builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The lab's name, unique on the machine: letters, digits and dashes, at most 32.
    pub lab: String,
    /// The layer-2 networks, in the file's order.
    pub segments: Vec<SegmentPlan>,
    /// The hosts, in the file's order, `count` expanded.
    pub hosts: Vec<HostPlan>,
    /// Whether its hosts run programs of people whom nobody here knows, as when a class is graded. Root of
    /// such a host can neither capture nor forge packets, change links, trace programs nor change its root.
    #[serde(default)]
    pub untrusted: bool,
}

/// One layer-2 network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentPlan {
    /// Its name in the file.
    pub name: String,
    /// Its addresses. The first usable one is kept free of hosts: Docker's bridge takes it.
    pub subnet: Ipv4Net,
}

/// One machine of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// Its hostname, by which every other host knows it.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// Its attachments, at least one; the first one's address is the host's address.
    pub links: Vec<LinkPlan>,
    /// Ways to segments it is not attached to, through a router host.
    pub routes: Vec<Route>,
    /// The command that runs on it from the start, split in words by a shell; its output is the host's log.
    pub run: Option<String>,
    /// Environment variables of every process started on it.
    pub env: BTreeMap<String, String>,
    /// Files and folders of the machine that it sees.
    pub mounts: Vec<Mount>,
    /// What it may use at most.
    pub limits: Limits,
}

/// What a host is there for. A router forwards packets between its links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the server of an exercise.
    Server,
    /// Runs a client of an exercise.
    #[default]
    Client,
    /// Forwards packets between the segments it is attached to.
    Router,
}

/// A host's attachment to a segment. Its interfaces are eth0, eth1, … in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// The segment's name.
    pub segment: String,
    /// The host's address on it.
    pub address: Ipv4Addr,
    /// The length of the segment's prefix, in bits.
    pub prefix_len: u8,
}

/// A way to a segment through a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub to: Ipv4Net,
    /// The router's address on a segment that this host is attached to.
    pub via: Ipv4Addr,
}

/// A file or folder of the machine that a host sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path on the machine.
    #[serde(with = "crate::paths")]
    pub source: PathBuf,
    /// Absolute path on the host.
    #[serde(with = "crate::paths")]
    pub target: PathBuf,
    /// Whether the host may not change it.
    pub read_only: bool,
    /// Whether it is a copy, of at most so many bytes with all that is added to it, which the hosts
    /// that mount the same source share, and which goes away with the lab.
    #[serde(default)]
    pub copy: Option<u64>,
}

/// What a host may use at most; `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processor time, in thousandths of a core: 1500 is one core and a half.
    pub millicpus: Option<u32>,
    /// How many processes and threads.
    pub pids: Option<u64>,
    /// How much each of the folders that it may write to holds, in bytes.
    #[serde(default)]
    pub disk: Option<u64>,
}

impl Plan {
    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&HostPlan> {
        self.hosts.iter().find(|h| h.name == name)
    }

    /// Every host's name with each of its addresses: what goes into `/etc/hosts` and into captures.
    pub fn addresses(&self) -> impl Iterator<Item = (Ipv4Addr, &str)> {
        self.hosts.iter().flat_map(|h| h.links.iter().map(|l| (l.address, h.name.as_str())))
    }
}

impl HostPlan {
    /// The host's first address.
    pub fn address(&self) -> Ipv4Addr {
        self.links[0].address
    }
}
