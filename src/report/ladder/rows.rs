//! What happened, in rows.

use std::collections::HashMap;

use super::{
    Column, Density, Item, Ladder, Place, Row, Side, Span,
    lives::{Activity, Life},
    strands::{Key, Look, Strand},
    words,
};
use crate::{report::Evidence, time::Nanos, timeline::Packet};

/// A wait of this length gets a row of its own.
const LONG: Nanos = 100_000_000;
/// What happens within this time may share a row.
const TOGETHER: Nanos = 1_000_000;

/// Puts everything into rows.
pub(super) fn lay_out(
    evidence: &Evidence,
    hosts: &[String],
    mut strands: Vec<Strand>,
    mut lives: Vec<Life>,
    density: Density,
) -> Ladder {
    let start = evidence.timeline.events().first().map_or(0, |e| e.at);
    let mut told = words::tell(evidence, hosts, &strands, &lives);
    told.sort_by_key(|(at, item)| (*at, !matches!(item, Item::Step { .. })));

    let mut rows = Rows { all: Vec::new(), used: Vec::new(), hosts: hosts.len(), density };
    let mut strand_rows = vec![Vec::new(); strands.len()];
    let mut life_rows = vec![HashMap::new(); lives.len()];
    for (at, item) in words::fold(&told) {
        let (strand, life) = match &item {
            Item::Socket { strand, .. } => (Some(*strand), None),
            Item::Process { life, .. } => (None, Some(*life)),
            _ => (None, None),
        };
        let row = rows.add(at.saturating_sub(start), item);
        if let Some(strand) = strand {
            strand_rows[strand].push(row);
        }
        if let Some(life) = life {
            life_rows[life].entry(at).or_insert(row);
        }
    }
    let rows = rows.all;
    for (strand, told_in) in strands.iter_mut().zip(&strand_rows) {
        strand.spans = strand_spans(strand, told_in, rows.len());
    }
    for (life, told_in) in lives.iter_mut().zip(&life_rows) {
        let next = |at: Nanos| rows.partition_point(|row| row.at < at.saturating_sub(start));
        life.spans = life_spans(life, |at| told_in.get(&at).copied().unwrap_or_else(|| next(at)), rows.len());
    }
    let columns = hosts.iter().enumerate().map(|(i, name)| Column {
        name: name.clone(),
        address: evidence.plan.host(name).map(|host| host.address().to_string()),
        lanes: strands.iter().filter(|s| s.host == i).map(|s| s.lane + 1).max().unwrap_or(1),
    });
    let life_lanes = lives.iter().map(|l| l.lane + 1).max().unwrap_or(0);
    Ladder { hosts: columns.collect(), strands, lives, life_lanes, rows }
}

/// Every look lasts from the row that tells it to the one that tells the next.
fn strand_spans(strand: &Strand, told_in: &[usize], end: usize) -> Vec<Span<Look>> {
    let until = told_in.iter().skip(1).copied().chain([end]);
    let looks = strand.looks.iter().zip(told_in.iter().zip(until));
    looks.filter_map(|((_, look), (&from, until))| look.map(|is| Span { from, until, is })).collect()
}

fn life_spans(life: &Life, row: impl Fn(Nanos) -> usize, end: usize) -> Vec<Span<Activity>> {
    let end = life.ended.map_or(end, &row);
    let until = life.activities.iter().skip(1).map(|(at, _)| row(*at)).chain([end]);
    let spans =
        life.activities.iter().zip(until).map(|((at, is), until)| Span { from: row(*at), until, is: *is });
    spans.filter(|span| span.from < span.until).collect()
}

/// Rows as they fill.
struct Rows {
    all: Vec<Row>,
    /// Where the last row has something already. A place is the room to the left of a host, counted
    /// from 0; to the right of the last host is one more, and then come the processes.
    used: Vec<bool>,
    hosts: usize,
    density: Density,
}

impl Rows {
    /// Adds an item, to the last row if it may, else to a new one. Returns the row.
    fn add(&mut self, at: Nanos, item: Item) -> usize {
        let last = self.all.last().map_or(0, |row| row.at);
        if at - last >= LONG && !self.all.is_empty() {
            self.begin(last, Item::Wait { idle: at - last });
        }
        let wanted = self.places(&item);
        let shares = self.density == Density::Shared
            && self.all.last().is_some_and(|row| at - row.at < TOGETHER && may_share(row, &item))
            && wanted.clone().all(|place| !self.used[place]);
        if shares && let Some(row) = self.all.last_mut() {
            row.items.push(item);
        } else {
            self.begin(at, item);
        }
        for place in wanted {
            self.used[place] = true;
        }
        self.all.len() - 1
    }

    fn begin(&mut self, at: Nanos, item: Item) {
        self.all.push(Row { at, items: vec![item] });
        self.used = vec![false; self.hosts + 2];
    }

    fn places(&self, item: &Item) -> std::ops::Range<usize> {
        match item {
            Item::Step { .. } | Item::Wait { .. } => 0..self.hosts + 2,
            Item::Arrow { from, to, .. } | Item::Bulk { from, to, .. } => {
                from.host.min(to.host) + 1..from.host.max(to.host) + 1
            }
            Item::Socket { place, side, .. } | Item::Note { place, side, .. } => {
                let place = place.host + usize::from(*side == Side::Right);
                place..place + 1
            }
            Item::Process { .. } => self.hosts + 1..self.hosts + 2,
        }
    }
}

/// Packets keep their order only in rows of their own, and so do the turns of one lane.
fn may_share(row: &Row, item: &Item) -> bool {
    let is_arrow = |item: &Item| matches!(item, Item::Arrow { .. } | Item::Bulk { .. });
    !(is_arrow(item) && row.items.iter().any(is_arrow))
}

/// The lane of every socket. Of two of the same name, the first one's.
pub(super) fn lanes_of(strands: &[Strand]) -> HashMap<&Key, usize> {
    strands.iter().rev().map(|strand| (&strand.key, strand.lane)).collect()
}

/// Where the two ends of a packet stand.
pub(super) fn ends(packet: &Packet, hosts: &[String], lanes: &HashMap<&Key, usize>) -> Option<[Place; 2]> {
    let place = |key: &Key| {
        let host = hosts.iter().position(|host| *host == key.host)?;
        Some(Place { host, lane: lanes.get(key).copied().unwrap_or_default() })
    };
    let [from, to] = Key::ends(packet);
    Some([place(&from)?, place(&to)?])
}
