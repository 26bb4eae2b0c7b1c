//! Arranges what happened in rows.

use std::collections::HashMap;

use super::{
    Density, Item, Row, Side, Span,
    lifelines::{Activity, Lifeline},
    order::Moment,
    sockets::{Change, Look, SocketLine},
};
use crate::time::Nanos;

/// A wait of at least this length gets its own row.
const LONG: Nanos = 100_000_000;
/// Things that happen within this time of each other may share a row.
const TOGETHER: Nanos = 1_000_000;

/// Puts all items, in order, into rows, and gives the lines their spans. Rows count time from `start`.
pub(super) fn lay_out(
    items: Vec<(Moment, Item)>,
    start: Nanos,
    hosts: usize,
    density: Density,
    sockets: &mut [SocketLine],
    lifelines: &mut [Lifeline],
) -> Vec<Row> {
    let mut rows = Rows { all: Vec::new(), used: Vec::new(), hosts, density };
    let mut socket_rows = vec![Vec::new(); sockets.len()];
    let mut lifeline_rows = vec![HashMap::new(); lifelines.len()];
    let mut moments = Vec::with_capacity(items.len());
    for (at, item) in items {
        let (line, lifeline) = match &item {
            Item::Socket { line, .. } | Item::Unseen { line } => (Some(*line), None),
            Item::Process { lifeline, .. } => (None, Some(*lifeline)),
            _ => (None, None),
        };
        let row = rows.add(at.at.saturating_sub(start), item);
        moments.push((at, row));
        if let Some(line) = line {
            socket_rows[line].push(row);
        }
        if let Some(lifeline) = lifeline {
            lifeline_rows[lifeline].entry(at).or_insert(row);
        }
    }
    let rows = rows.all;
    for (line, its_rows) in sockets.iter_mut().zip(&socket_rows) {
        line.spans = socket_spans(line, its_rows, rows.len());
    }
    // What is drawn without its own item belongs to the row of the first item at or after its moment.
    let row = |at: Moment| {
        moments.get(moments.partition_point(|(m, _)| *m < at)).map_or(rows.len(), |(_, row)| *row)
    };
    for (line, its_rows) in lifelines.iter_mut().zip(&lifeline_rows) {
        let row = |at: Moment| its_rows.get(&at).copied().unwrap_or_else(|| row(at));
        line.spans = lifeline_spans(line, row, rows.len());
    }
    rows
}

/// Every look lasts from the row of its change to the row of the next one.
fn socket_spans(line: &SocketLine, its_rows: &[usize], end: usize) -> Vec<Span<Look>> {
    let until = its_rows.iter().skip(1).copied().chain([end]);
    let changes = line.changes.iter().zip(its_rows.iter().zip(until));
    let span = |((_, change), (&from, until)): (&(Moment, Change), (&usize, usize))| match change {
        Change::Looks(is) if from < until => Some(Span { from, until, is: *is }),
        _ => None,
    };
    changes.filter_map(span).collect()
}

fn lifeline_spans(line: &Lifeline, row: impl Fn(Moment) -> usize, end: usize) -> Vec<Span<Activity>> {
    let end = line.ended.map_or(end, &row);
    let until = line.activities.iter().skip(1).map(|(at, _)| row(*at)).chain([end]);
    let spans = line.activities.iter().zip(until);
    let spans = spans.map(|((at, is), until)| Span { from: row(*at), until, is: *is });
    spans.filter(|span| span.from < span.until).collect()
}

/// The rows while they are being filled.
struct Rows {
    all: Vec<Row>,
    /// Which places are taken in the last row. A place is the room to the left of a host, counted from 0; the
    /// room to the right of the last host follows, and then the processes.
    used: Vec<bool>,
    hosts: usize,
    density: Density,
}

impl Rows {
    /// Adds an item to the last row if it may share it, else to a new one. Returns the row.
    fn add(&mut self, at: Nanos, item: Item) -> usize {
        let last = self.all.last().map_or(0, |row| row.at);
        let takes_no_room = matches!(item, Item::Unseen { .. });
        if takes_no_room && let Some(row) = self.all.last_mut() {
            row.items.push(item);
            return self.all.len() - 1;
        }
        if at.saturating_sub(last) >= LONG && !self.all.is_empty() {
            self.begin(last, Item::Wait { idle: at - last });
        }
        let wanted = self.places(&item);
        let shares = self.density == Density::Shared
            && self
                .all
                .last()
                .is_some_and(|row| at.saturating_sub(row.at) < TOGETHER && may_share(row, &item))
            && wanted.clone().all(|place| !self.used[place]);
        if shares && let Some(row) = self.all.last_mut() {
            row.items.push(item);
        } else {
            self.begin(at.max(last), item);
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
            Item::Step { .. } | Item::Wait { .. } | Item::Verdict { .. } => 0..self.hosts + 2,
            Item::Arrow { from, to, .. } | Item::Bulk { from, to, .. } => {
                from.host.min(to.host) + 1..from.host.max(to.host) + 1
            }
            Item::Socket { place, side, .. } | Item::Note { place, side, .. } => {
                let place = place.host + usize::from(*side == Side::Right);
                place..place + 1
            }
            Item::Process { .. } => self.hosts + 1..self.hosts + 2,
            Item::Unseen { .. } => 0..0,
        }
    }
}

/// Packets keep their order only in separate rows, and so do the changes of one lane.
fn may_share(row: &Row, item: &Item) -> bool {
    let is_arrow = |item: &Item| matches!(item, Item::Arrow { .. } | Item::Bulk { .. });
    !(is_arrow(item) && row.items.iter().any(is_arrow))
}
