//! Whether a program has used up one of its host's resources, as far as that can be seen from outside.

use std::collections::BTreeMap;

use nix::libc::SIGKILL;

use crate::{judge::Snapshot, kernel::ExitStatus, runtime::LimitReached, topology::Plan};

/// How many processes a host may have besides those that are seen, e.g. one that is just starting.
const UNSEEN: u64 = 2;

/// The largest number of processes seen at one time on each host.
#[derive(Debug, Default)]
pub struct Crowds(BTreeMap<String, usize>);

impl Crowds {
    /// Notes how many processes a host has now.
    pub fn note(&mut self, host: &str, processes: usize) {
        let most = self.0.entry(host.to_owned()).or_default();
        *most = processes.max(*most);
    }

    fn most(&self, host: &str) -> u64 {
        self.0.get(host).map_or(0, |most| *most as u64)
    }
}

/// Which limit one of these programs has reached, in a sentence for its author. `met` are the limits that hosts
/// have reached in the meantime, where that is known.
pub fn reached<'n>(
    mut names: impl Iterator<Item = &'n String>,
    snapshot: &Snapshot,
    crowds: &Crowds,
    plan: &Plan,
    met: &[LimitReached],
) -> Option<String> {
    names.find_map(|name| {
        let program = snapshot.programs.get(name)?;
        let limits = &plan.hosts.iter().find(|host| host.name == program.host)?.limits;
        if let Some(pids) = limits.pids
            && crowds.most(&program.host) + UNSEEN >= pids
        {
            return Some(format!("your program reached its limit of {pids} processes"));
        }
        // Otherwise somebody on the machine may have killed it, and such a run grades nobody.
        let may_be = plan.untrusted || met.iter().any(|met| met.host == program.host && met.is_memory);
        let killed = may_be && program.ended == Some(ExitStatus::Signaled(SIGKILL));
        let memory = limits.memory.filter(|_| killed && !program.signaled.contains(&SIGKILL))?;
        let of = memory >> 20;
        Some(format!(
            "your program was ended by SIGKILL, as one is that takes more than its {of} MiB of memory"
        ))
    })
}
