//! The processes of the server's programs, from beginning to end. The judge's snapshot says which program a
//! process belongs to.

use super::{
    Span, Transition,
    order::{Moment, Rank},
    sockets::{Change, Holder, SocketLine},
    trace::{Begun, ProcessTrace, Trace},
};
use crate::{capture::TcpState, observer::ProcessRow, report::Evidence, time::Nanos, timeline::What};

/// How long before its time stamp a table may have been read.
const READING: Nanos = 5_000_000;

/// One process over time.
#[derive(Clone, Debug)]
pub struct Lifeline {
    /// Its host.
    pub host: String,
    /// Its pid on its host.
    pub pid: i32,
    /// Its program's name.
    pub name: String,
    /// The parent it was first seen with, as an index into [`super::Ladder::lifelines`].
    pub parent: Option<usize>,
    /// Its lane, from 0.
    pub lane: usize,
    /// What it did, in rows.
    pub spans: Vec<Span<Activity>>,
    /// When it began, was seen to change, and ended.
    pub(super) begun: Moment,
    pub(super) activities: Vec<(Moment, Activity)>,
    pub(super) transitions: Vec<(Moment, Transition, String)>,
    pub(super) ended: Option<Moment>,
}

/// What a process does, from the kernel's state letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// R.
    Running,
    /// S, D, I.
    Sleeping,
    /// T, t.
    Stopped,
    /// Z, X.
    Zombie,
}

impl Activity {
    fn of(row: &ProcessRow) -> Self {
        match row.state {
            'R' => Self::Running,
            'T' | 't' => Self::Stopped,
            'Z' | 'X' => Self::Zombie,
            _ => Self::Sleeping,
        }
    }
}

/// Every process of a server's program that is not hidden. Lanes and spans are set later.
pub(super) fn lines(
    evidence: &Evidence,
    trace: &Trace,
    sockets: &[SocketLine],
    is_hidden: impl Fn(&ProcessTrace) -> bool,
) -> Vec<Lifeline> {
    let shown: Vec<&ProcessTrace> = trace.processes.iter().filter(|process| !is_hidden(process)).collect();
    let births = births(evidence, trace, sockets, &shown);
    let mut lines: Vec<Lifeline> = Vec::new();
    for (process, begun) in shown.iter().zip(births) {
        let parent = process.elder.and_then(|elder| {
            lines
                .iter()
                .rposition(|line| line.host == process.host && line.pid == elder && line.begun <= begun)
        });
        lines.extend(Lifeline::new(process, parent, begun));
    }
    for event in evidence.timeline.events() {
        let What::Signaled { host, pid, signal, .. } = &event.what else { continue };
        let is_it =
            |line: &&mut Lifeline| line.pid == *pid && line.host == *host && line.begun.at <= event.at;
        if let Some(line) = lines.iter_mut().rfind(is_it) {
            line.transitions.push((
                Moment::event(event.at),
                Transition::Signaled,
                format!("{signal} → {pid}"),
            ));
        }
    }
    lines
}

/// When each process began: before it was seen, before its program printed anything, before it was sent a signal, and
/// before its children, its sockets and its TCP segments.
fn births(
    evidence: &Evidence,
    trace: &Trace,
    sockets: &[SocketLine],
    processes: &[&ProcessTrace],
) -> Vec<Moment> {
    let mut births: Vec<Moment> =
        processes.iter().map(|process| birth(evidence, trace, sockets, process)).collect();
    // Parents begin before their children.
    for (n, process) in processes.iter().enumerate().rev() {
        let elder =
            processes[..n].iter().rposition(|p| p.host == process.host && Some(p.pid) == process.elder);
        if let Some(elder) = elder {
            births[elder] = births[elder].min(births[n]);
        }
    }
    births
}

fn birth(evidence: &Evidence, trace: &Trace, sockets: &[SocketLine], process: &ProcessTrace) -> Moment {
    let (host, pid) = (&process.host, process.pid);
    let seen = process.rows.first().map_or(trace.end, |(at, _)| *at);
    // An earlier process may have had the same pid.
    let is_mine = |at: Nanos| at <= seen && at + READING >= process.absent;
    let before = |at: Nanos| Moment { at, rank: Rank::Birth };
    let is_start = |begun: &&Begun| {
        begun.program == process.program && begun.host == *host && begun.pid == Some(pid) && begun.at <= seen
    };
    let start = trace.programs.iter().rfind(is_start);
    let started = start.into_iter().flat_map(|begun| [Some(begun.at), begun.prints]).flatten();
    let signals = evidence.timeline.events().iter().filter_map(|event| match &event.what {
        What::Signaled { host: on, pid: to, .. } if on == host && *to == pid => Some(event.at),
        _ => None,
    });
    let held = sockets.iter().filter(|line| line.key.host == *host).flat_map(|line| {
        let listens = line.changes.iter().filter_map(move |(moment, change)| match change {
            Change::Looks(look) if look.holder == Holder::Process(pid) && look.state == TcpState::Listen => {
                Some(moment.at)
            }
            _ => None,
        });
        let socket = &trace.sockets[&line.key];
        let is_its = socket.only_owner() == Some(pid);
        let sent = is_its.then(|| socket.first_sent(process.absent.saturating_sub(READING))).flatten();
        listens.chain(sent)
    });
    let causes = started.chain(signals.chain(held).filter(|at| is_mine(*at))).map(before);
    causes.chain([Moment::seen(seen)]).min().unwrap_or(Moment::seen(seen))
}

impl Lifeline {
    fn new(process: &ProcessTrace, parent: Option<usize>, begun: Moment) -> Option<Self> {
        let (pid, (_, first)) = (process.pid, process.rows.first()?);
        // It may first have been seen just before it executed the program.
        let name = process.rows.last().map_or(&first.name, |(_, row)| &row.name);
        let text = match parent {
            None => format!("{pid} {name} starts"),
            Some(_) if process.elder == Some(first.ppid) => format!("{pid} forked by {}", first.ppid),
            Some(_) => format!("{pid} {name}, of session {}", first.sid),
        };
        let mut line = Self {
            host: process.host.clone(),
            pid,
            name: name.clone(),
            parent,
            lane: 0,
            spans: Vec::new(),
            begun,
            activities: Vec::new(),
            transitions: vec![(begun, Transition::Born, text)],
            ended: process.gone.map(Moment::seen),
        };
        let mut adopted = parent.is_none() || first.ppid == 1;
        for (at, row) in &process.rows {
            line.see(Moment::seen(*at), row, &mut adopted);
        }
        let ended = line.ended.map(|at| (at, Transition::Ended, format!("{pid} ended")));
        line.transitions.extend(ended);
        Some(line)
    }

    fn see(&mut self, at: Moment, row: &ProcessRow, adopted: &mut bool) {
        let (pid, now) = (self.pid, Activity::of(row));
        let before = self.activities.last().map(|(_, activity)| *activity);
        if before != Some(now) {
            self.activities.push((if before.is_none() { self.begun } else { at }, now));
            let text = match (before, now) {
                (_, Activity::Zombie) => Some(format!("{pid} is a zombie (Z)")),
                (_, Activity::Stopped) => Some(format!("{pid} is stopped (T)")),
                (Some(Activity::Stopped), _) => Some(format!("{pid} goes on")),
                _ => None,
            };
            self.transitions.extend(text.map(|text| (at, Transition::Changed, text)));
        }
        // A zombie that PID 1 adopts is gone at once; an orphan that goes on deserves a label.
        if row.ppid == 1 && !*adopted && now != Activity::Zombie {
            *adopted = true;
            self.transitions.push((at, Transition::Changed, format!("{pid} orphaned: its parent is 1")));
        }
    }
}
