//! The plan of a lab: every host by its own name, every address chosen, every default filled in.
//!
//! A runtime needs nothing else to build a lab. A lab carries its plan with it (in a label on Docker, in a
//! file beside the keeper's socket), so that later commands do not need the YAML.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// What a runtime builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The lab's name, unique on the machine: at most 32 letters, digits and dashes.
    pub lab: String,
    /// The layer-2 networks, in the file's order.
    pub segments: Vec<SegmentPlan>,
    /// The hosts, in the file's order, `count` expanded.
    pub hosts: Vec<HostPlan>,
    /// Whether its hosts run strangers' programs, e.g. when a class is graded. Root on such a host cannot capture or
    /// forge packets, change links, trace programs or change its root directory.
    #[serde(default)]
    pub untrusted: bool,
}

/// One layer-2 network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentPlan {
    /// Its name in the file.
    pub name: String,
    /// Its addresses. No host gets the first usable one: Docker's bridge takes it.
    pub subnet: Ipv4Net,
}

/// One machine of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// Its hostname, by which every other host knows it.
    pub name: String,
    /// Its purpose.
    pub role: Role,
    /// Its attachments, at least one; the first one's address is the host's address.
    pub links: Vec<LinkPlan>,
    /// Routes to segments it is not attached to, through router hosts.
    pub routes: Vec<Route>,
    /// The command that runs on it from the start, split into words by a shell; its output is the host's log.
    pub run: Option<String>,
    /// Environment variables of every process started on it.
    pub env: BTreeMap<String, String>,
    /// Files and folders of the machine that it sees.
    pub mounts: Vec<Mount>,
    /// The most it may use.
    pub limits: Limits,
}

/// The purpose of a host.
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

/// A route to a segment through a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination.
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
    /// Whether the host may only read it.
    pub read_only: bool,
    /// The size limit in bytes, if the host gets a copy. Hosts that mount the same source share the copy, which
    /// goes away with the lab.
    #[serde(default)]
    pub copy: Option<u64>,
}

/// The most a host may use; `None` means no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processor time, in thousandths of a core: 1500 is one and a half cores.
    pub millicpus: Option<u32>,
    /// Number of processes and threads.
    pub pids: Option<u64>,
    /// Size of each folder that it may write to, in bytes.
    #[serde(default)]
    pub disk: Option<u64>,
}

impl Plan {
    /// Returns the host with this name.
    pub fn host(&self, name: &str) -> Option<&HostPlan> {
        self.hosts.iter().find(|h| h.name == name)
    }

    /// Returns every host's name with each of its addresses, for `/etc/hosts` and captures.
    pub fn addresses(&self) -> impl Iterator<Item = (Ipv4Addr, &str)> {
        self.hosts.iter().flat_map(|h| h.links.iter().map(|l| (l.address, h.name.as_str())))
    }
}

impl HostPlan {
    /// Returns the host's first address.
    pub fn address(&self) -> Ipv4Addr {
        self.links[0].address
    }
}
