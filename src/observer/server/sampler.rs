//! When to look at the hosts, and what of it to tell.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

use super::{bounds, diag::Diag, hosts::Host, now, output::Output, programs::Programs};
use crate::{
    kernel::SocketRow,
    observer::{
        ProcessRow,
        protocol::{Message, encode_json},
    },
};

/// Without any packet, how often the hosts are looked at: what a process does by itself (it listens,
/// it ends) shows at most this late.
const TICK: Duration = Duration::from_millis(10);
/// After a packet: at most this often.
const GAP: Duration = Duration::from_millis(1);
/// A packet is seen before its receiver has taken it in: the hosts are looked at once more, later.
const AFTERMATH: Duration = Duration::from_millis(2);

/// Looking must stay cheap beside what is looked at: it may take one part in so many of the time...
const SHARE: u32 = 10;
/// ...but a short exchange of packets is followed step by step, for so much time of looking.
const BURST: Duration = Duration::from_millis(50);

/// Why the sampler should look now.
pub enum Wake {
    /// A packet passed.
    Packet,
    /// A reader asks; the answer carries this number.
    Asked(u64),
    /// A host has come back, and a reader wants to see it; the answer carries this number.
    Watch(u64, Box<Watched>),
}

/// A host with what was last told of it.
pub struct Watched {
    host: Arc<Host>,
    programs: Arc<Programs>,
    diag: Option<Diag>,
    gone: bool,
    /// Whether the reader was told that it does not see everything.
    blind: bool,
    told: Option<(Vec<ProcessRow>, Vec<SocketRow>)>,
}

impl Watched {
    pub fn new(host: Arc<Host>, programs: Arc<Programs>) -> Self {
        let diag = host.diag();
        Self { host, programs, diag, gone: false, blind: false, told: None }
    }

    /// Looks at the host and tells what changed; with `asked`, also the processor time used.
    fn look(&mut self, asked: bool, out: &mut Vec<u8>) {
        if self.gone {
            return;
        }
        let view = self.host.look(self.diag.as_ref());
        // Taken after the look, so that nothing in a table is older than what caused it.
        let at = now();
        self.gone = view.is_none();
        let mut view = view.unwrap_or_default();
        self.find_programs(&mut view.processes, asked);
        bounds::cut(&mut view);
        let host = &self.host.name;
        let (processes, sockets) = match &self.told {
            Some((p, s)) => (!same(p, &view.processes, asked), *s != view.sockets),
            None => (true, true),
        };
        let was_blind = std::mem::replace(&mut self.blind, !view.whole);
        if self.blind && !was_blind {
            encode_json(&Message::ObservationLost { at, why: bounds::why(host) }, out);
        }
        // Processes before sockets: whoever reads of an owner knows it by then.
        if processes {
            encode_json(&Message::Processes { at, host: host.clone(), rows: view.processes.clone() }, out);
        }
        if sockets {
            encode_json(&Message::Sockets { at, host: host.clone(), rows: view.sockets.clone() }, out);
        }
        if self.gone {
            self.diag = None;
            encode_json(&Message::Gone { at, host: host.clone() }, out);
        }
        // What is left out now is not told: who asks next is to hear of it.
        let rows = match self.told.take() {
            Some((told, _)) if !processes => told,
            _ => view.processes,
        };
        self.told = Some((rows, view.sockets));
    }

    /// Finds out what the processes run, and whether somebody else has written that. For what is new only, unless
    /// somebody asks: a process can execute another file under the name and with the arguments that it has.
    fn find_programs(&self, rows: &mut [ProcessRow], asked: bool) {
        let told = self.told.as_ref().map_or(&[][..], |(rows, _)| rows);
        for row in rows {
            let before = told.binary_search_by_key(&row.pid, |told| told.pid).map(|n| &told[n]);
            if let Ok(before) = before
                && !asked
                && before.still_runs(row)
            {
                (row.program, row.is_reference_program) =
                    (before.program.clone(), before.is_reference_program);
                row.copy_of.clone_from(&before.copy_of);
                continue;
            }
            row.program = self.host.program_name(row.pid).unwrap_or_default();
            let file = self.host.program(row.pid);
            let origin = file.and_then(|file| self.programs.origin(&file, &row.program));
            row.is_reference_program = origin.as_ref().is_some_and(|origin| origin.is_reference_program);
            row.copy_of = origin.map(|origin| origin.name).unwrap_or_default();
        }
    }
}

/// Whether two process tables are the same; processor time counts only if `ticks`.
fn same(a: &[ProcessRow], b: &[ProcessRow], ticks: bool) -> bool {
    if ticks { a == b } else { a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_unchanged(b)) }
}

/// Looks at every host and tells what changed.
pub fn look(hosts: &mut [Watched], asked: bool, output: &Output) {
    for host in hosts {
        let mut out = Vec::new();
        host.look(asked, &mut out);
        output.send(&out);
    }
}

/// Looks at the hosts until nobody can wake it any more; hands the numbers of those who asked to
/// `answer` once they were told.
pub fn run(mut hosts: Vec<Watched>, wakes: &mpsc::Receiver<Wake>, output: &Output, answer: impl Fn(u64)) {
    let mut pace = Pace::new();
    loop {
        let first = match wakes.recv_timeout(pace.due.saturating_duration_since(Instant::now())) {
            Ok(wake) => Some(wake),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        let mut asked = Vec::new();
        for wake in first.into_iter().chain(wakes.try_iter()) {
            match wake {
                Wake::Packet => pace.packet(),
                Wake::Asked(id) => asked.push(id),
                Wake::Watch(id, host) => {
                    hosts.retain(|h| h.host.name != host.host.name);
                    hosts.push(*host);
                    asked.push(id);
                }
            }
        }
        if asked.is_empty() && Instant::now() < pace.due {
            continue;
        }
        let before = processor_time();
        look(&mut hosts, !asked.is_empty(), output);
        pace.looked(processor_time().saturating_sub(before));
        asked.into_iter().for_each(&answer);
    }
}

/// What this thread has used so far; unlike the clock it leaves out what others took meanwhile.
fn processor_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Duration::ZERO };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.try_into().unwrap_or(0))
}

/// When to look next. What looking costs depends on how many hosts there are, so it is measured.
struct Pace {
    /// The next look.
    due: Instant,
    /// If a packet passes, not before this.
    earliest: Instant,
    /// Time left for looks that packets ask for; comes back with time.
    credit: Duration,
    /// The end of the latest look.
    last: Instant,
    /// Whether a packet passed since.
    packet: bool,
    /// What the latest look cost.
    cost: Duration,
}

impl Pace {
    fn new() -> Self {
        let now = Instant::now();
        Self { due: now + TICK, earliest: now, credit: BURST, last: now, packet: false, cost: Duration::ZERO }
    }

    fn packet(&mut self) {
        self.due = self.due.min(self.earliest);
        self.packet = true;
    }

    fn looked(&mut self, cost: Duration) {
        // One look that costs much, as the first that meets a program does, says nothing of the next.
        let cost = cost.min(std::mem::replace(&mut self.cost, cost));
        let end = Instant::now();
        self.credit = BURST.min(self.credit + (end - self.last) / SHARE);
        self.last = end;
        self.due = end + TICK.max(SHARE * cost);
        if std::mem::take(&mut self.packet) {
            self.credit = self.credit.saturating_sub(cost);
            self.due = self.due.min(end + AFTERMATH);
        }
        self.earliest = end + if self.credit > cost { GAP } else { SHARE * cost };
        self.due = self.due.max(self.earliest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its credit gone, a look that costs 3 ms comes again after 30.
    #[test]
    fn a_flood_of_packets_gets_its_share_and_no_more() {
        let mut pace = Pace::new();
        pace.credit = Duration::ZERO;
        let cost = Duration::from_millis(3);
        pace.looked(cost);
        pace.looked(cost);
        pace.packet();
        assert!(pace.due - pace.last >= 9 * cost, "{:?}", pace.due - pace.last);
    }

    #[test]
    fn one_look_that_costs_much_does_not_delay_the_next() {
        let mut pace = Pace::new();
        pace.looked(Duration::from_micros(100));
        pace.looked(Duration::from_secs(1));
        assert!(pace.due - pace.last <= TICK, "{:?}", pace.due - pace.last);
    }

    #[test]
    fn a_few_packets_are_followed_step_by_step() {
        let mut pace = Pace::new();
        pace.packet();
        pace.looked(Duration::from_micros(100));
        assert!(pace.due - pace.last <= AFTERMATH, "once more, soon after");
        pace.packet();
        assert!(pace.due - pace.last <= GAP);
        pace.looked(Duration::from_micros(100));
        pace.looked(Duration::from_micros(100));
        assert!(pace.due - pace.last >= TICK, "nothing happens: back to the slow pace");
    }
}
