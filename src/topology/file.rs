//! The contents of a topology file. Doc comments here are also the descriptions in the schema, which editors show.

use std::{collections::BTreeMap, net::Ipv4Addr};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Role;

/// A netlab topology: the machines of a lab and the networks they are on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "netlab topology")]
pub(super) struct File {
    /// The layer-2 networks by name. If omitted, there is one, called `lan`.
    #[schemars(extend("minProperties" = 1, "propertyNames" = {
        "pattern": "^[a-z][a-z0-9-]{0,13}[a-z0-9]?$",
        "patternErrorMessage": "a name of at most 15 lower-case letters, digits and dashes, starting with a letter",
    }))]
    pub segments: Option<IndexMap<String, Option<Segment>>>,
    /// The machines by name.
    #[schemars(extend("minProperties" = 1, "propertyNames" = {
        "pattern": "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        "patternErrorMessage": "a hostname (RFC 1123): lower-case letters, digits and dashes, starting with a letter",
    }))]
    pub hosts: IndexMap<String, Option<Host>>,
}

/// A layer-2 network.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Segment {
    /// Its addresses, e.g. `198.18.5.0/24`. If omitted, a free subnet of 198.18.0.0/15 is chosen.
    /// No host gets the first usable address.
    #[schemars(extend(
        "pattern" = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$",
        "patternErrorMessage" = "a subnet, e.g. `198.18.5.0/24`",
    ))]
    pub subnet: Option<String>,
}

/// A machine, or with `count` several identical ones.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    /// Its purpose. The default is `client`.
    #[serde(default)]
    pub role: Role,
    /// The number of such machines: `client` with a count of 2 makes client1 and client2.
    #[schemars(range(min = 1, max = 1000))]
    pub count: Option<u32>,
    /// Its address on its first segment, which must have a `subnet`. With `count`, the first machine's;
    /// the others follow. If omitted, it is chosen.
    pub address: Option<Ipv4Addr>,
    /// The segments it is attached to. The default is the file's first one; for a router, all.
    #[schemars(length(min = 1))]
    pub links: Option<Vec<Link>>,
    /// A command to run on it from the start; `netlab logs` shows what it prints.
    #[schemars(length(min = 1))]
    pub run: Option<String>,
    /// Environment variables for everything that runs on it.
    #[schemars(extend("propertyNames" = {
        "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
        "patternErrorMessage": "a variable's name: letters, digits and `_`, not starting with a digit",
    }))]
    pub env: Option<BTreeMap<String, String>>,
    /// Files and folders of this machine that it sees. A relative source starts at the file's folder.
    pub mounts: Option<Vec<Mount>>,
    /// The most it may use.
    pub limits: Option<Limits>,
}

/// An attachment to a segment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Link {
    /// The segment's name.
    Segment(String),
    /// The segment, and the host's address on it.
    Full(FullLink),
}

/// An attachment with an address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FullLink {
    /// The segment's name.
    pub segment: String,
    /// The host's address there; the segment must have a `subnet`. If omitted, it is chosen.
    pub address: Option<Ipv4Addr>,
}

/// A file or folder of this machine that a host sees.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Mount {
    /// `source:target`, with `:ro` if the host may not change it.
    Short(
        #[schemars(extend(
            "pattern" = "^[^:]+:/[^:]*(:(ro|rw))?$",
            "patternErrorMessage" = "`source:/target` or `source:/target:ro`",
        ))]
        String,
    ),
    /// Written in full.
    Full(FullMount),
}

/// A mount in full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FullMount {
    /// The path on this machine.
    #[schemars(length(min = 1))]
    pub source: String,
    /// The absolute path on the host.
    #[schemars(extend("pattern" = "^/", "patternErrorMessage" = "an absolute path, e.g. `/lab`"))]
    pub target: String,
    /// Whether the host may only read it. The default is `false`.
    #[serde(default)]
    pub read_only: bool,
}

/// The most a host may use. The defaults are generous: 500 processes, 1GiB of memory (at most half of the machine's),
/// and half as much for files. `none` means no limit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// Memory, e.g. `256MiB`.
    #[schemars(extend(
        "pattern" = "^([1-9][0-9]{0,8}(KiB|MiB|GiB)|none)$",
        "patternErrorMessage" = "an amount of memory, e.g. `256MiB`, or `none`; the units are KiB, MiB and GiB",
    ))]
    pub memory: Option<String>,
    /// Processor cores, e.g. `0.5`.
    #[schemars(range(min = 0.01, max = 1024))]
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: Option<Pids>,
    /// Its own files, e.g. `64MiB`; on Docker, this much in each of `/tmp`, `/var/tmp` and `/dev/shm`.
    #[schemars(extend(
        "pattern" = "^([1-9][0-9]{0,8}(KiB|MiB|GiB)|none)$",
        "patternErrorMessage" = "an amount of disk, e.g. `64MiB`, or `none`; the units are KiB, MiB and GiB",
    ))]
    pub disk: Option<String>,
}

/// A number of processes and threads.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Pids {
    /// At most this many.
    Most(#[schemars(range(min = 8, max = 4_194_304))] u64),
    /// Any number.
    Unlimited(Unlimited),
}

/// The word for no limit.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unlimited {
    /// No limit.
    None,
}
