//! Which limits the hosts of a lab have reached, as counted by their control groups.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;

use super::namespaces::keeper::cgroup;
use crate::topology::{HostPlan, Plan};

/// How often a host has reached one of its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// The host.
    pub host: String,
    /// The limit, e.g. `its 500 processes`.
    pub limit: String,
    /// Whether the limit is on memory, and a program was killed for lack of it.
    pub is_memory: bool,
    /// How often: the number of programs not started, or killed for lack of memory.
    pub times: u64,
}

impl std::fmt::Display for LimitReached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} has reached {}", self.host, self.limit)
    }
}

/// Returns the limits that were reached more often now than before.
pub fn since(before: &[LimitReached], now: Vec<LimitReached>) -> Vec<LimitReached> {
    let is_more = |met: &LimitReached| {
        let earlier = before.iter().find(|b| (&b.host, &b.limit) == (&met.host, &met.limit));
        earlier.is_none_or(|earlier| met.times > earlier.times)
    };
    now.into_iter().filter(is_more).collect()
}

/// Returns the limits that the hosts of a lab on namespaces have reached so far.
pub(super) fn of(plan: &Plan) -> Vec<LimitReached> {
    let groups: Vec<PathBuf> = cgroup::of_lab(&plan.lab).into_iter().filter(|group| is_mine(group)).collect();
    plan.hosts.iter().flat_map(|host| of_host(host, &groups)).collect()
}

/// Returns whether the group is this user's: labs of different users may have the same name.
fn is_mine(group: &Path) -> bool {
    fs::metadata(group).is_ok_and(|about| about.uid() == geteuid().as_raw())
}

fn of_host(host: &HostPlan, groups: &[PathBuf]) -> Vec<LimitReached> {
    let times = |file: &str, key: &str| {
        let texts =
            groups.iter().filter_map(|group| fs::read_to_string(group.join(&host.name).join(file)).ok());
        texts.map(|text| count(&text, key)).sum::<u64>()
    };
    let pids =
        host.limits.pids.map(|most| (format!("its {most} processes"), false, times("pids.events", "max")));
    let memory = host.limits.memory.map(|most| {
        let killed = times("memory.oom_control", "oom_kill") + times("memory.events", "oom_kill");
        (format!("its {} MiB of memory, and a program was killed", most >> 20), true, killed)
    });
    let met = |(limit, is_memory, times)| LimitReached { host: host.name.clone(), limit, is_memory, times };
    [pids, memory].into_iter().flatten().map(met).filter(|met| met.times > 0).collect()
}

/// Returns the number after a key at the start of a line.
fn count(text: &str, key: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(name, _)| *name == key).filter_map(|(_, n)| n.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_once_for_each_time_that_it_is_met() {
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"), 3);
        assert_eq!(count("low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n", "oom_kill"), 1);
        assert_eq!(count("", "max"), 0);
        let met = |times| LimitReached {
            host: "client1".into(),
            limit: "its 500 processes".into(),
            is_memory: false,
            times,
        };
        assert_eq!(since(&[], vec![met(1)]), [met(1)]);
        assert_eq!(since(&[met(1)], vec![met(1)]), []);
        assert_eq!(since(&[met(1)], vec![met(4)]), [met(4)]);
        assert_eq!(met(4).to_string(), "client1 has reached its 500 processes");
    }
}
