//! A student's workspace: the files that `netlab init` puts there, its `netlab.yaml`, and how a lab's hosts see it.

mod files;
mod manifest;
mod place;

use std::path::{Path, PathBuf};

pub use files::{Placement, lay_out, sources};
pub use manifest::{Manifest, schema};
pub use place::on_host;

use crate::{
    Error, Result,
    error::Context,
    topology::{Mount, Plan, Topology},
};

/// The file that makes a folder a workspace.
pub const MANIFEST: &str = "netlab.yaml";

/// Where a lab's hosts see the workspace.
pub const ON_HOSTS: &str = "/lab";

/// Finds the workspace that `folder` is, or is in.
pub fn find(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    folder.ancestors().find(|folder| folder.join(MANIFEST).is_file()).map(Path::to_owned)
}

/// Mounts the workspace at `/lab` on every host of the topology, except hosts that mount something else there.
pub fn mount(topology: &mut Topology, folder: &Path) -> Result<()> {
    let source = folder.canonicalize().or_usage(|| format!("cannot find {}", folder.display()))?;
    topology.mount(&Mount { source, target: ON_HOSTS.into(), read_only: false, copy: None });
    Ok(())
}

/// Returns the path on the machine that the host has mounted at `/lab`, if any.
pub fn mounted<'p>(plan: &'p Plan, host: &str) -> Option<&'p Path> {
    let mounts = &plan.host(host)?.mounts;
    mounts.iter().find(|m| m.target == Path::new(ON_HOSTS)).map(|m| m.source.as_path())
}

/// Checks that every host of a lab sees this workspace at `/lab`.
pub fn expect_mounted(plan: &Plan, folder: &Path) -> Result<()> {
    let here = |host: &str| mounted(plan, host).is_some_and(|source| source == folder);
    if plan.hosts.iter().all(|host| here(&host.name)) {
        return Ok(());
    }
    Err(Error::usage(format!("lab \"{}\" does not have {} at {ON_HOSTS}", plan.lab, folder.display())).hint(
        "it was started elsewhere: take it down with `netlab down`, or choose another with `--lab NAME`",
    ))
}
