//! Decides when to sample the hosts, and reports what changed.

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

/// Sampling interval without packets: what a process does on its own (listen, end) shows at most this late.
const TICK: Duration = Duration::from_millis(10);
/// Minimum interval between samples that packets cause.
const GAP: Duration = Duration::from_millis(1);
/// A packet is seen before its receiver has processed it, so the hosts are sampled once more this much later.
const AFTERMATH: Duration = Duration::from_millis(2);

/// Sampling must stay cheap compared with what is sampled: it may take one part in this many of the time...
const SHARE: u32 = 10;
/// ...but a short exchange of packets is followed step by step, for this much sampling time.
const BURST: Duration = Duration::from_millis(50);

/// Why the sampler should sample now.
pub enum Wake {
    /// A packet passed.
    Packet,
    /// A reader's request; the answer carries this number.
    Request(u64),
    /// A host was started again and is to be watched; the answer carries this number.
    Watch(u64, Box<Watched>),
}

/// A host with what was last reported about it.
pub struct Watched {
    host: Arc<Host>,
    programs: Arc<Programs>,
    diag: Option<Diag>,
    gone: bool,
    /// Whether the reader was told that the tables are incomplete.
    incomplete: bool,
    reported: Option<(Vec<ProcessRow>, Vec<SocketRow>)>,
}

impl Watched {
    pub fn new(host: Arc<Host>, programs: Arc<Programs>) -> Self {
        let diag = host.diag();
        Self { host, programs, diag, gone: false, incomplete: false, reported: None }
    }

    /// Samples the host and reports changes; with `asked`, also of processor time.
    fn look(&mut self, asked: bool, out: &mut Vec<u8>) {
        if self.gone {
            return;
        }
        let view = self.host.look(self.diag.as_ref());
        // Taken after sampling, so that nothing in a table is older than its cause.
        let at = now();
        self.gone = view.is_none();
        let mut view = view.unwrap_or_default();
        self.find_programs(&mut view.processes, asked);
        bounds::cut(&mut view);
        let host = &self.host.name;
        let (processes, sockets) = match &self.reported {
            Some((p, s)) => (!same(p, &view.processes, asked), *s != view.sockets),
            None => (true, true),
        };
        let was_incomplete = std::mem::replace(&mut self.incomplete, !view.whole);
        if self.incomplete && !was_incomplete {
            encode_json(&Message::ObservationLost { at, why: bounds::why(host) }, out);
        }
        // Processes before sockets, so that a socket's owner is already known to the reader.
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
        // Rows not sent now are not stored as sent, so that the next request reports them.
        let rows = match self.reported.take() {
            Some((reported, _)) if !processes => reported,
            _ => view.processes,
        };
        self.reported = Some((rows, view.sockets));
    }

    /// Finds out what the processes run, and whether it is a copy of a known program. Only for new processes,
    /// unless `asked`: a process can execute another file under the same name and arguments.
    fn find_programs(&self, rows: &mut [ProcessRow], asked: bool) {
        let reported = self.reported.as_ref().map_or(&[][..], |(rows, _)| rows);
        for row in rows {
            let before =
                reported.binary_search_by_key(&row.pid, |reported| reported.pid).map(|n| &reported[n]);
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

/// Returns whether two process tables are the same; processor time counts only if `ticks`.
fn same(a: &[ProcessRow], b: &[ProcessRow], ticks: bool) -> bool {
    if ticks { a == b } else { a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_unchanged(b)) }
}

/// Samples every host and reports changes.
pub fn look(hosts: &mut [Watched], asked: bool, output: &Output) {
    for host in hosts {
        let mut out = Vec::new();
        host.look(asked, &mut out);
        output.send(&out);
    }
}

/// Samples the hosts until nobody can wake it any more. Passes the numbers of requests to `answer` once they
/// are answered.
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
                Wake::Request(id) => asked.push(id),
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

/// Returns the processor time of this thread, which, unlike a clock, excludes what others used meanwhile.
fn processor_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Duration::ZERO };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.try_into().unwrap_or(0))
}

/// Decides when to sample next. The cost of sampling depends on the number of hosts, so it is measured.
struct Pace {
    /// When to sample next.
    due: Instant,
    /// If a packet passes, not before this time.
    earliest: Instant,
    /// Time left for samples that packets cause; recovers over time.
    credit: Duration,
    /// The end of the latest sample.
    last: Instant,
    /// Whether a packet passed since then.
    packet: bool,
    /// The cost of the latest sample.
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
        // One expensive sample, e.g. the first with a new program, says nothing about the next.
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

    /// Without credit, a sample that costs 3 ms is repeated after 30 ms.
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
        assert!(pace.due - pace.last >= TICK, "nothing happens: back to the slow interval");
    }
}
