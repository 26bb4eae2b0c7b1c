//! Facts about what a program used since a look: processor time, and descriptors.

use super::{Finding, process_line};
use crate::{
    exercise::facts::{Cpu, Descriptors},
    judge::{
        program::Program,
        snapshot::{Snapshot, Used},
    },
};

impl Cpu {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        since(snapshot, &self.of, &self.since, |program, before, now| {
            let used = now.ticks.saturating_sub(before.ticks);
            Finding {
                holds: self.ticks.admits(used),
                observed: format!(
                    "`{}` used {used} ticks of 10 ms of processor time (expected {})",
                    program.command, self.ticks
                ),
                evidence: snapshot.processes(program).map(process_line).collect(),
            }
        })
    }
}

impl Descriptors {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        since(snapshot, &self.of, &self.since, |program, before, now| Finding {
            holds: self.more.admits(now.descriptors.saturating_sub(before.descriptors)),
            observed: format!(
                "the parent of `{}` holds {} descriptors, and held {} before (expected {} more)",
                program.command, now.descriptors, before.descriptors, self.more
            ),
            evidence: snapshot.processes(program).map(process_line).collect(),
        })
    }
}

/// Compares what a program used at a look with what it uses now.
fn since(
    snapshot: &Snapshot,
    name: &str,
    look: &str,
    compare: impl FnOnce(&Program, Used, Used) -> Finding,
) -> Finding {
    let before = snapshot.used_at.get(&(look.to_owned(), name.to_owned()));
    match (snapshot.programs.get(name), before) {
        (Some(program), Some(before)) => compare(program, *before, snapshot.used(program)),
        _ => {
            let observed = format!("{name} did not run at the look \"{look}\"");
            Finding { holds: false, observed, evidence: Vec::new() }
        }
    }
}
