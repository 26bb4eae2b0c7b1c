//! What `lab.yaml` describes, and the plan a runtime builds from it.
//!
//! [`load`] reads the file and checks everything that can be known from it alone. The result is a
//! [`Topology`], with every host by its own name. [`Topology::plan`] adds the lab's name, and the subnets and
//! addresses that the file leaves open.

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

/// The topology used if no file is named.
const DEFAULT: &str = include_str!("../../topology/lab.yaml");

/// What a topology file says, checked, with every `count` expanded.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The parsed file, for problems that only show when a lab is planned.
    document: Document,
    segments: Vec<Segment>,
    hosts: Vec<Host>,
    untrusted: bool,
}

#[derive(Clone, Debug)]
struct Segment {
    name: String,
    /// The file's; chosen by the plan if it has none.
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
    /// The file's; chosen by the plan if it has none.
    address: Option<Ipv4Addr>,
}

/// Reads a topology file, or the default topology. The error carries every problem in the file
/// ([`crate::yaml::Problems`]).
pub fn load(path: Option<&Path>) -> Result<Topology> {
    match path {
        Some(path) => Topology::from_document(Document::read(path)?, path.parent().unwrap_or(Path::new(""))),
        None => {
            Topology::from_document(Document::parse("topology/lab.yaml", DEFAULT.as_bytes())?, Path::new(""))
        }
    }
}

/// Returns the JSON schema of a topology file.
pub fn schema() -> serde_json::Value {
    yaml::schema::<file::File>()
}

/// The name of the lab if none is given.
pub const DEFAULT_LAB: &str = "lab";

/// Checks that a lab may have this name: at most 32 letters, digits and dashes, not starting with a dash.
pub fn check_lab_name(name: &str) -> Result<()> {
    let right = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=32).contains(&name.len()) && name.chars().all(right) && !name.starts_with('-') {
        return Ok(());
    }
    Err(Error::usage(format!("wrong name for a lab: `{}`", name.escape_debug()))
        .hint("a lab's name has at most 32 letters, digits and dashes, and does not start with a dash"))
}

impl Topology {
    /// Makes a topology from a parsed file. Relative sources of mounts start at `folder`.
    pub fn from_document(document: Document, folder: &Path) -> Result<Self> {
        let (segments, hosts) =
            document.resolve(|file, problems| Ok(resolve::resolve(&file, &document, folder, problems)))?;
        Ok(Self { document, segments, hosts, untrusted: false })
    }

    /// Sets the limits of every host.
    pub fn limit(&mut self, limits: &Limits) {
        for host in &mut self.hosts {
            host.limits.clone_from(limits);
        }
    }

    /// Makes every lab of this topology one for strangers' programs; see [`Plan::untrusted`].
    pub fn distrust(&mut self) {
        self.untrusted = true;
    }

    /// Plans a lab with this name whose subnets do not overlap those `taken`.
    ///
    /// A segment without a subnet gets the first free /24 of 198.18.0.0/15, or a larger one if its
    /// hosts need it. Hosts without an address get the next free one, in the file's order, starting
    /// with the subnet's second usable address: .2, .3, …
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

    /// Adds a mount to every host, except those that mount something else there.
    pub fn mount(&mut self, mount: &Mount) {
        for host in &mut self.hosts {
            if host.mounts.iter().all(|m| m.target != mount.target) {
                host.mounts.push(mount.clone());
            }
        }
    }

    /// Returns how many hosts are attached to a segment.
    fn hosts_on(&self, segment: usize) -> usize {
        self.hosts.iter().filter(|h| h.links.iter().any(|l| l.segment == segment)).count()
    }
}
