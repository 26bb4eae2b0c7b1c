//! Whether a program has taken all of something that its host has, as far as one can see from outside.

use std::collections::BTreeMap;

use nix::libc::SIGKILL;

use crate::{judge::Snapshot, kernel::ExitStatus, runtime::LimitReached, topology::Plan};

/// So many processes a host has besides those that are seen, as one that is just being started.
const UNSEEN: u64 = 2;

/// The most processes that were seen on each host at a time.
#[derive(Debug, Default)]
pub struct Crowds(BTreeMap<String, usize>);

impl Crowds {
    /// Takes in that a host has so many.
    pub fn note(&mut self, host: &str, processes: usize) {
        let most = self.0.entry(host.to_owned()).or_default();
        *most = processes.max(*most);
    }

    fn most(&self, host: &str) -> u64 {
        self.0.get(host).map_or(0, |most| *most as u64)
    }
}

/// What one of the programs of these names has taken all of, in a sentence for whoever wrote it.
/// `met` are the limits that hosts have met meanwhile, where that can be told.
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
        // Else whoever is on the machine may have ended it, and nobody has put it to a test that would matter.
        let may_be = plan.untrusted || met.iter().any(|met| met.host == program.host && met.is_memory);
        let killed = may_be && program.ended == Some(ExitStatus::Signaled(SIGKILL));
        let memory = limits.memory.filter(|_| killed && !program.signaled.contains(&SIGKILL))?;
        let of = memory >> 20;
        Some(format!(
            "your program was ended by SIGKILL, as one is that takes more than its {of} MiB of memory"
        ))
    })
}
