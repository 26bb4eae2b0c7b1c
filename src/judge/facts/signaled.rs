//! Facts about the signals that steps have sent.

use super::Finding;
use crate::{exercise::facts::Signaled, judge::snapshot::Snapshot, signals};

impl Signaled {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        let wanted = signals::parse(&self.signal).ok();
        let sent = snapshot.programs.get(&self.of).map_or(&[][..], |program| &program.signaled);
        let n = sent.iter().filter(|number| Some(**number) == wanted).count() as u64;
        let processes = if n == 1 { "process" } else { "processes" };
        Finding {
            holds: self.count.admits(n),
            observed: format!(
                "{} was sent to {n} {processes} of {} (expected {})",
                self.signal, self.of, self.count
            ),
            evidence: Vec::new(),
        }
    }
}
