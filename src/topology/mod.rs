//! What `lab.yaml` describes, and the plan a runtime builds from it.
//!
//! [`load`] reads the file and checks all that can be known from it alone: the result is a
//! [`Topology`], every host by its own name. [`Topology::plan`] gives a lab of it a name and, where
//! the file leaves them open, subnets and addresses.

mod addresses;
mod file;
mod limits;
mod links;
mod mounts;
mod plan;
mod resolve;
mod routes;
mod segments;

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path};

use ipnet::Ipv4Net;

use crate::{
    Error, Result,
    yaml::{self, Document},
};

pub(crate) use limits::bytes;
pub use plan::{HostPlan, Limits, LinkPlan, Mount, Plan, Role, Route, SegmentPlan};

/// The topology that is used where no file is named.
const DEFAULT: &str = include_str!("../../topology/lab.yaml");

/// What a topology file says, checked, with every `count` expanded.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Where it was read, for problems that show only when a lab is planned.
    document: Document,
    segments: Vec<Segment>,
    hosts: Vec<Host>,
    untrusted: bool,
}

#[derive(Clone, Debug)]
struct Segment {
    name: String,
    /// As the file has it; chosen by the plan if it has none.
    subnet: Option<Ipv4Net>,
}

#[derive(Clone, Debug)]
struct Host {
    name: String,
    role: Role,
    links: Vec<Link>,
    run: Option<String>,
    env: BTreeMap<String, String>,
    mounts: Vec<Mount>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    /// Index into the topology's segments.
    segment: usize,
    /// As the file has it; chosen by the plan if it has none.
    address: Option<Ipv4Addr>,
}

/// Reads a topology file, or the default one. The error carries every problem of the file
/// ([`crate::yaml::Problems`]).
pub fn load(path: Option<&Path>) -> Result<Topology> {
    match path {
        Some(path) => Topology::from_document(Document::read(path)?, path.parent().unwrap_or(Path::new(""))),
        None => {
            Topology::from_document(Document::parse("topology/lab.yaml", DEFAULT.as_bytes())?, Path::new(""))
        }
    }
}

/// The JSON schema of a topology file.
pub fn schema() -> serde_json::Value {
    yaml::schema::<file::File>()
}

/// The lab that is meant where none is named.
pub const DEFAULT_LAB: &str = "lab";

/// Checks that a lab may have this name: letters, digits and dashes, at most 32, first no dash.
pub fn check_lab_name(name: &str) -> Result<()> {
    let right = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=32).contains(&name.len()) && name.chars().all(right) && !name.starts_with('-') {
        return Ok(());
    }
    Err(Error::usage(format!("wrong name for a lab: `{}`", name.escape_debug()))
        .hint("a lab's name has letters, digits and dashes, at most 32, and does not begin with a dash"))
}

impl Topology {
    /// What a parsed file says. Relative mounts are seen from `folder`.
    pub fn from_document(document: Document, folder: &Path) -> Result<Self> {
        let (segments, hosts) =
            document.resolve(|file, problems| Ok(resolve::resolve(&file, &document, folder, problems)))?;
        Ok(Self { document, segments, hosts, untrusted: false })
    }

    /// Bounds what every host may use.
    pub fn limit(&mut self, limits: &Limits) {
        for host in &mut self.hosts {
            host.limits.clone_from(limits);
        }
    }

    /// Makes every lab of this topology one for programs of strangers; see [`Plan::untrusted`].
    pub fn distrust(&mut self) {
        self.untrusted = true;
    }

    /// The plan of a lab of that name whose subnets stay clear of those `taken`.
    ///
    /// A segment without a subnet gets the first free /24 of 198.18.0.0/15, or the first larger
    /// one where its hosts need it. A host without an address gets the next free one, in the
    /// file's order, from the subnet's second usable address on: .2, .3, …
    pub fn plan(&self, lab: &str, taken: &[Ipv4Net]) -> Result<Plan> {
        check_lab_name(lab)?;
        let segments = addresses::subnets(self, taken)?;
        let links = addresses::links(self, &segments);
        let routes = routes::routes(self, &segments, &links);
        let hosts = self.hosts.iter().zip(links).zip(routes).map(|((host, links), routes)| HostPlan {
            name: host.name.clone(),
            role: host.role,
            links,
            routes,
            run: host.run.clone(),
            env: host.env.clone(),
            mounts: host.mounts.clone(),
            limits: host.limits.clone(),
        });
        let hosts = hosts.collect();
        Ok(Plan { lab: lab.to_owned(), segments, hosts, untrusted: self.untrusted })
    }

    /// Adds a mount to every host that has nothing else there.
    pub fn mount(&mut self, mount: &Mount) {
        for host in &mut self.hosts {
            if host.mounts.iter().all(|m| m.target != mount.target) {
                host.mounts.push(mount.clone());
            }
        }
    }

    /// How many hosts are attached to a segment.
    fn hosts_on(&self, segment: usize) -> usize {
        self.hosts.iter().filter(|h| h.links.iter().any(|l| l.segment == segment)).count()
    }
}
