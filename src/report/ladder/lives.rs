//! The processes of the server's programs, from their first sign to their end.

use std::collections::HashSet;

use super::{Span, Turn, is_server, lanes};
use crate::{observer::ProcessRow, report::Evidence, time::Nanos, timeline::What};

/// The life of one process.
#[derive(Clone, Debug)]
pub struct Life {
    /// Its number on its host.
    pub pid: i32,
    /// Its program's name.
    pub name: String,
    /// Who forked it, as an index into [`super::Ladder::lives`].
    pub parent: Option<usize>,
    /// Its lane, from 0.
    pub lane: usize,
    /// What it did, in rows.
    pub spans: Vec<Span<Activity>>,
    pub(super) host: String,
    pub(super) began: Nanos,
    pub(super) ended: Option<Nanos>,
    pub(super) activities: Vec<(Nanos, Activity)>,
    pub(super) turns: Vec<(Nanos, Turn, String)>,
    adopted: bool,
    started: u64,
}

/// What a process does, by the kernel's letter for it.
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

/// Every process that a program started on a server came to, with its lane. Its spans come with the rows.
pub(super) fn read(evidence: &Evidence) -> Vec<Life> {
    let events = evidence.timeline.events();
    let roots: HashSet<(&str, i32)> = events
        .iter()
        .filter_map(|e| match &e.what {
            What::Started { host, pid: Some(pid), .. } if is_server(&evidence.plan, host) => {
                Some((&**host, *pid))
            }
            _ => None,
        })
        .collect();
    let mut lives = Vec::new();
    for event in events {
        match &event.what {
            What::Processes { host, rows } if is_server(&evidence.plan, host) => {
                take_in(&mut lives, &roots, host, rows, event.at);
            }
            What::Signaled { host, pid, signal, .. } => {
                if let Some(life) = lives.iter_mut().rfind(|l| l.pid == *pid && l.host == *host) {
                    life.turns.push((event.at, Turn::Signaled, format!("{signal} → {pid}")));
                }
            }
            _ => {}
        }
    }
    let end = events.last().map_or(0, |e| e.at);
    let taken = lanes(lives.iter().map(|l| (l.began, l.ended.unwrap_or(end))));
    for (life, lane) in lives.iter_mut().zip(taken) {
        life.lane = lane;
    }
    lives
}

/// Takes in a host's processes.
fn take_in(lives: &mut Vec<Life>, roots: &HashSet<(&str, i32)>, host: &str, rows: &[ProcessRow], at: Nanos) {
    for life in lives.iter_mut().filter(|l| l.host == host && l.ended.is_none()) {
        if let Some(row) = rows.iter().find(|row| life.is(row)) {
            life.go_on(row, at);
        } else {
            life.ended = Some(at);
            life.turns.push((at, Turn::Ended, format!("{} ended", life.pid)));
        }
    }
    // By start, so that a parent comes before its children.
    let mut rows: Vec<&ProcessRow> = rows.iter().collect();
    rows.sort_by_key(|row| (row.started, row.pid));
    for row in rows {
        if lives.iter().any(|l| l.host == host && l.is(row)) {
            continue;
        }
        let parent = lives.iter().rposition(|l| l.host == host && l.pid == row.ppid && l.ended.is_none());
        if parent.is_some() || roots.contains(&(host, row.pid)) {
            lives.push(Life::born(host, row, parent, at));
        }
    }
}

impl Life {
    fn born(host: &str, row: &ProcessRow, parent: Option<usize>, at: Nanos) -> Self {
        let text = match parent {
            Some(_) => format!("{} forked by {}", row.pid, row.ppid),
            None => starts(row),
        };
        let activity = Activity::of(row);
        let mut turns = vec![(at, Turn::Born, text)];
        turns.extend((activity == Activity::Zombie).then(|| (at, Turn::Changed, zombie(row.pid))));
        Self {
            pid: row.pid,
            name: row.name.clone(),
            parent,
            lane: 0,
            spans: Vec::new(),
            host: host.to_owned(),
            began: at,
            ended: None,
            activities: vec![(at, activity)],
            turns,
            adopted: false,
            started: row.started,
        }
    }

    fn is(&self, row: &ProcessRow) -> bool {
        (self.pid, self.started) == (row.pid, row.started)
    }

    fn go_on(&mut self, row: &ProcessRow, at: Nanos) {
        let (pid, now) = (self.pid, Activity::of(row));
        if self.name != row.name {
            // It was first seen just before it became the program.
            self.name.clone_from(&row.name);
            if self.parent.is_none() {
                self.turns[0].2 = starts(row);
            }
        }
        let before = self.activities.last().map(|(_, activity)| *activity);
        if before != Some(now) {
            self.activities.push((at, now));
            let text = match (before, now) {
                (_, Activity::Zombie) => Some(zombie(pid)),
                (_, Activity::Stopped) => Some(format!("{pid} is stopped (T)")),
                (Some(Activity::Stopped), _) => Some(format!("{pid} goes on")),
                _ => None,
            };
            self.turns.extend(text.map(|text| (at, Turn::Changed, text)));
        }
        // A zombie that PID 1 adopts is gone at once, and an orphan that goes on is worth a word.
        if self.parent.is_some() && row.ppid == 1 && !self.adopted && now != Activity::Zombie {
            self.adopted = true;
            self.turns.push((at, Turn::Changed, format!("{pid} orphaned: its parent is 1")));
        }
    }
}

fn starts(row: &ProcessRow) -> String {
    format!("{} {} starts", row.pid, row.name)
}

fn zombie(pid: i32) -> String {
    format!("{pid} is a zombie (Z)")
}
