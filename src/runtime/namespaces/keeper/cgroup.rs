//! Limits on what a host may use, by control groups of either version.
//!
//! Where a limit cannot be had, as for a user whose session has no groups of its own, the lab comes up
//! without it and says so. Resource limits (`setrlimit`) are no way out: they bound one process or one
//! user, and not a host.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::super::sys;
use crate::{
    Result,
    error::Context,
    runtime::{Lack, Warning},
    topology::{Limits, Plan},
};

const ROOT: &str = "/sys/fs/cgroup";
/// The period over which processor time is shared out, in microseconds.
const PERIOD: u64 = 100_000;
/// The group of the lab's observers: no host has such a name.
const OBSERVERS: &str = "_observers";
/// What a lab's observers may have of memory together, in bytes.
const OBSERVERS_MEMORY: u64 = 1 << 30;
/// How long the processes of a dead lab get to be gone, in milliseconds.
const PATIENCE: u16 = 5_000;

/// One value to be set in a group.
struct Setting {
    controller: &'static str,
    v1: &'static str,
    v2: &'static str,
    value: (String, String),
}

fn settings(limits: &Limits) -> Vec<Setting> {
    let same = |value: String| (value.clone(), value);
    let mut wanted = Vec::new();
    if let Some(bytes) = limits.memory {
        wanted.push(memory(&bytes.to_string()));
    }
    if let Some(millis) = limits.millicpus {
        let quota = u64::from(millis) * PERIOD / 1000;
        let value = (quota.to_string(), format!("{quota} {PERIOD}"));
        wanted.push(Setting { controller: "cpu", v1: "cpu.cfs_quota_us", v2: "cpu.max", value });
    }
    if let Some(pids) = limits.pids {
        let value = same(pids.to_string());
        wanted.push(Setting { controller: "pids", v1: "pids.max", v2: "pids.max", value });
    }
    wanted
}

fn memory(bytes: &str) -> Setting {
    let value = (bytes.to_owned(), bytes.to_owned());
    Setting { controller: "memory", v1: "memory.limit_in_bytes", v2: "memory.max", value }
}

/// The groups of a lab.
#[derive(Default)]
pub struct Cgroups {
    /// What was made, parents first.
    made: Vec<PathBuf>,
}

/// The groups that bound one host: whoever joins them passes that on to its children.
#[derive(Default)]
pub struct Membership(Vec<File>);

impl Membership {
    /// Puts this process into the groups.
    pub fn join(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|mut procs| procs.write_all(b"0"))
    }
}

impl Cgroups {
    /// Makes groups for the plan's hosts with limits. What could not be had is added to `warnings`.
    /// `record` is where their paths are written down first, for who has to clear them after a crash.
    pub fn build(plan: &Plan, record: &Path, warnings: &mut Vec<Warning>) -> Result<(Self, Vec<Membership>)> {
        let mut groups = Self::default();
        let mut memberships = Vec::new();
        for host in &plan.hosts {
            let mut membership = Membership::default();
            for setting in settings(&host.limits) {
                match groups.bound(&plan.lab, &host.name, &setting, record) {
                    Ok(procs) => membership.0.push(procs),
                    Err(e) => warnings.push(Warning {
                        lacks: Lack::Limit,
                        text: format!(
                            "{} runs without its limit on {}: control groups: {e}",
                            host.name, setting.controller
                        ),
                    }),
                }
            }
            memberships.push(membership);
        }
        Ok((groups, memberships))
    }

    fn bound(&mut self, lab: &str, host: &str, setting: &Setting, record: &Path) -> io::Result<File> {
        let unified = Path::new(ROOT).join("cgroup.controllers").exists();
        let name = format!("netlab-{lab}-{}", std::process::id());
        let parent = if unified { unified_parent()? } else { Path::new(ROOT).join(setting.controller) };
        if !parent.join("cgroup.procs").exists() {
            return Err(io::Error::other(format!("no {} here", parent.display())));
        }
        let lab = parent.join(name);
        let group = lab.join(host);
        if unified {
            enable(&parent, setting.controller)?;
        }
        self.make(&lab, record)?;
        if unified {
            enable(&lab, setting.controller)?;
        }
        self.make(&group, record)?;
        let (file, value) =
            if unified { (setting.v2, &setting.value.1) } else { (setting.v1, &setting.value.0) };
        fs::write(group.join(file), value)?;
        File::options().write(true).open(group.join("cgroup.procs"))
    }

    /// The group of the lab's observers, which bounds their memory; none where that cannot be had, as each bounds its
    /// own as well. Made when it is first asked for.
    pub fn observers(&mut self, lab: &str, record: &Path) -> Membership {
        let value = OBSERVERS_MEMORY.to_string();
        let bound = self.bound(lab, OBSERVERS, &memory(&value), record);
        Membership(bound.into_iter().collect())
    }

    fn make(&mut self, group: &Path, record: &Path) -> io::Result<()> {
        if !self.made.iter().any(|known| known == group) {
            self.made.push(group.to_owned());
            let paths: Vec<_> = self.made.iter().map(|p| p.display().to_string()).collect();
            fs::write(record, paths.join("\n"))?;
            fs::create_dir(group)?;
        }
        Ok(())
    }

    /// The groups that a dead keeper has written down.
    pub fn recorded(record: &Path) -> Self {
        let text = fs::read_to_string(record).unwrap_or_default();
        Self { made: text.lines().map(PathBuf::from).collect() }
    }

    /// Removes the groups, and ends what is still in them. Tells what is left.
    pub fn remove(self) -> Vec<String> {
        let mut left = Vec::new();
        for group in self.made.iter().rev() {
            match remove(group) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    left.push(format!("control group {}: {e}", group.display()));
                }
                _ => {}
            }
        }
        left
    }
}

/// Where groups of version 2 can be made: at the root by root; by a user beside the group of this
/// process, which a user's service manager owns.
fn unified_parent() -> io::Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok(ROOT.into());
    }
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let own = text.lines().find_map(|l| l.strip_prefix("0::/")).unwrap_or_default();
    let own = Path::new(ROOT).join(own);
    Ok(own.parent().map_or_else(|| ROOT.into(), Path::to_owned))
}

fn enable(group: &Path, controller: &str) -> io::Result<()> {
    fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"))
}

/// Removes a group with those that somebody may have made in it, and ends what is still in them.
fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    empty(group);
    fs::remove_dir(group)
}

/// Ends the processes of a group and waits until they are gone.
fn empty(group: &Path) {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in text.lines().filter_map(|l| l.parse().ok()).map(Pid::from_raw) {
        let Ok(process) = sys::pidfd_open(pid) else { continue };
        // If it cannot be ended, removing the group tells so.
        let _ = kill(pid, Signal::SIGKILL);
        let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(PATIENCE));
    }
}

/// Removes what a dead keeper left of groups.
pub fn clear(record: &Path) -> Result<()> {
    let left = Cgroups::recorded(record).remove();
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")).or_lab(|| "not everything could be removed") }
}
