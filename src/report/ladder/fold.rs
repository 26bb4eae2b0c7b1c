//! Folds long exchanges and outputs into a few rows: the first, the last, and how much lies between.

use super::{Item, NoteKind, Place, Side, order::Moment};
use crate::{capture::Flags, timeline::Packet};

/// A longer run of data and acknowledgments, interrupted only by what programs print, is folded; so is a longer
/// run of printed lines.
const MANY: usize = 8;
const MANY_LINES: usize = 5;
/// How many are shown at each end of what is folded.
const SHOWN: usize = 3;
const SHOWN_LINES: usize = 2;

/// Folds what is too long. Takes all items in order, and the packets that must be shown.
pub(super) fn fold(items: &[(Moment, Item)], is_wanted: impl Fn(&Packet) -> bool) -> Vec<(Moment, Item)> {
    let mut folded = Vec::with_capacity(items.len());
    let mut rest = items;
    while let Some(first) = rest.first() {
        let length = exchange(rest, &is_wanted);
        let (run, after) = rest.split_at(length.max(1));
        rest = after;
        if run.iter().filter(|(_, item)| ordinary(item).is_some()).count() > MANY {
            fold_exchange(run, &mut folded);
        } else if length > 1 {
            folded.extend_from_slice(run);
        } else {
            folded.push(first.clone());
        }
    }
    fold_lines(&folded)
}

/// How many items, from the first, form one exchange of data: packets between two ends that neither open nor close a
/// connection, and what programs print meanwhile. It begins and ends with a packet.
fn exchange(items: &[(Moment, Item)], is_wanted: impl Fn(&Packet) -> bool) -> usize {
    let Some(ends) = items.first().and_then(|(_, item)| ordinary(item)) else { return 0 };
    let is_part = |item: &Item| match item {
        Item::Arrow { packet, .. } => ordinary(item) == Some(ends) && !is_wanted(packet),
        Item::Note { kind, .. } => *kind == NoteKind::Output,
        _ => false,
    };
    let together = items.iter().take_while(|(_, item)| is_part(item)).count();
    items[..together].iter().rposition(|(_, item)| ordinary(item).is_some()).map_or(0, |last| last + 1)
}

/// The two ends of a packet that neither opens nor closes a connection, the left one first.
fn ordinary(item: &Item) -> Option<[(usize, usize); 2]> {
    let Item::Arrow { packet, from, to } = item else { return None };
    let mut ends = [(from.host, from.lane), (to.host, to.lane)];
    ends.sort_unstable();
    let control = Flags::SYN | Flags::FIN | Flags::RST;
    (!packet.flags.any(control) && !packet.retransmission).then_some(ends)
}

fn fold_exchange(run: &[(Moment, Item)], folded: &mut Vec<(Moment, Item)>) {
    let arrows: Vec<usize> = (0..run.len()).filter(|n| ordinary(&run[*n].1).is_some()).collect();
    let (begin, end) = (arrows[SHOWN], arrows[arrows.len() - SHOWN]);
    folded.extend_from_slice(&run[..begin]);
    folded.extend(bulk(&run[begin..end]));
    folded.extend_from_slice(&run[end..]);
}

fn bulk(middle: &[(Moment, Item)]) -> Option<(Moment, Item)> {
    let (at, first) = middle.first()?;
    let [from, to] = ordinary(first)?.map(|(host, lane)| Place { host, lane });
    let packets = middle.iter().filter_map(|(_, item)| match item {
        Item::Arrow { packet, .. } => Some(packet),
        _ => None,
    });
    let bytes = packets.clone().map(|packet| u64::from(packet.len)).sum();
    let packets = packets.count();
    Some((*at, Item::Bulk { from, to, packets, bytes, lines: middle.len() - packets }))
}

/// Folds consecutive printed lines on a host.
fn fold_lines(items: &[(Moment, Item)]) -> Vec<(Moment, Item)> {
    let mut folded = Vec::with_capacity(items.len());
    for lines in items.chunk_by(|(_, a), (_, b)| printed(a).is_some() && printed(a) == printed(b)) {
        if lines.len() <= MANY_LINES {
            folded.extend_from_slice(lines);
            continue;
        }
        let (begin, end) = (SHOWN_LINES, lines.len() - SHOWN_LINES);
        folded.extend_from_slice(&lines[..begin]);
        if let Some((place, side)) = printed(&lines[begin].1) {
            let text = format!("… {} more lines printed", end - begin);
            folded.push((lines[begin].0, Item::Note { place, side, kind: NoteKind::Output, text }));
        }
        folded.extend_from_slice(&lines[end..]);
    }
    folded
}

fn printed(item: &Item) -> Option<(Place, Side)> {
    match item {
        Item::Note { place, side, kind: NoteKind::Output, .. } => Some((*place, *side)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(number: u64, flags: Flags, len: u32) -> (Moment, Item) {
        let [client, server] = [0, 1].map(|host| Place { host, lane: 0 });
        let packet = Packet {
            number,
            segment: "lan".into(),
            from: "client1".into(),
            from_port: 40_000,
            to: "server".into(),
            to_port: 8002,
            flags,
            len,
            retransmission: false,
            line: String::new(),
            header: None,
        };
        let (from, to) = if number.is_multiple_of(2) { (client, server) } else { (server, client) };
        (Moment::event(number), Item::Arrow { packet, from, to })
    }

    #[test]
    fn a_long_exchange_is_folded_and_its_ends_are_not() {
        let data = (1..=40).map(|n| arrow(n, Flags::ACK, 100));
        let all: Vec<_> =
            [arrow(0, Flags::SYN, 0)].into_iter().chain(data).chain([arrow(41, Flags::FIN, 7)]).collect();
        let folded = fold(&all, |_| false);
        assert_eq!(folded.len(), 1 + SHOWN + 1 + SHOWN + 1);
        let (at, Item::Bulk { packets, bytes, .. }) = &folded[1 + SHOWN] else { panic!("{folded:?}") };
        assert_eq!(
            (at.at, *packets, *bytes),
            (1 + SHOWN as u64, 40 - 2 * SHOWN, 100 * (40 - 2 * SHOWN as u64))
        );

        let short = all[..=MANY].to_vec();
        assert_eq!(fold(&short, |_| false).len(), short.len());
    }
}
