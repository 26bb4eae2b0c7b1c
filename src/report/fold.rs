//! Keeps reports small enough to open, however much output or traffic a program caused. Where there is too much
//! of what happened without being asked for, some is left out and a count stands in its place. Actions stay, and
//! so does what each look showed.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Evidence,
    ladder::{Density, Detail, Followed, Ladder},
};
use crate::{
    Result,
    error::Context,
    printable::shortened_from,
    timeline::{Event, LeftOut, Timeline, What},
};

/// The longest file of a report, in bytes.
const MOST: usize = 4 << 20;
/// The most rows of a picture; each is a moment at which something happened.
const MOST_ROWS_DRAWN: usize = 3000;
/// The most sockets and processes side by side in a picture.
const MOST_LANES_DRAWN: usize = 300;
/// How often the amount shown may be halved to get there.
const HALVINGS: u32 = 12;

/// How much is shown of what happens without being asked for.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Packets, printed lines and tables.
    events: usize,
    /// Rows of a table.
    rows: usize,
    /// Characters of a text.
    text: usize,
    conversations: usize,
}

impl Room {
    fn halved(times: u32) -> Self {
        let of = |most: usize, least: usize| (most >> times).max(least);
        Self { events: of(8192, 0), rows: of(4096, 8), text: of(16_384, 200), conversations: of(2048, 8) }
    }
}

/// What `render` makes of as much of the evidence as fits.
pub(super) fn fitting(evidence: &Evidence, render: impl Fn(&Evidence) -> Result<String>) -> Result<String> {
    let mut text = String::new();
    for times in 0..=HALVINGS {
        text = render(&folded(evidence, Room::halved(times))?)?;
        if text.len() <= MOST {
            break;
        }
    }
    Ok(text)
}

/// Lays out as much of a run as still makes a readable picture, with every event in its own row. Returns that picture,
/// and what of the run is in it if that is not all.
pub(super) fn drawable<'e>(run: &Followed<'e>, detail: Detail) -> (Option<Followed<'e>>, Ladder) {
    let is_drawable = |ladder: &Ladder| {
        let lanes = ladder.lifeline_lanes + ladder.hosts.iter().map(|host| host.lanes).sum::<usize>();
        ladder.rows.len() <= MOST_ROWS_DRAWN && lanes <= MOST_LANES_DRAWN
    };
    let (mut part, mut ladder) = (None, run.ladder(Density::Single, detail));
    for times in 0..=HALVINGS {
        if is_drawable(&ladder) {
            break;
        }
        let Ok(folded) = folded(&run.evidence, Room::halved(times)) else { break };
        let folded = Followed::new(Cow::Owned(folded));
        ladder = folded.ladder(Density::Single, detail);
        part = Some(folded);
    }
    (part, ladder)
}

/// The evidence, cut to the given room.
fn folded(evidence: &Evidence, room: Room) -> Result<Evidence> {
    let kept = evidence.conversations.len().min(room.conversations);
    let shortened = |text: &str| {
        let mut text = text.to_owned();
        cut(&mut text, room.text);
        text
    };
    Ok(Evidence {
        outcome: with_short_texts(&evidence.outcome, room.text)?,
        asks: evidence.asks.clone(),
        explain: evidence.explain.clone(),
        plan: with_short_texts(&evidence.plan, room.text)?,
        ports: evidence.ports.clone(),
        programs: evidence.programs.iter().map(|(name, line)| (name.clone(), shortened(line))).collect(),
        conversations: evidence.conversations[..kept].to_vec(),
        more_conversations: evidence.more_conversations + evidence.conversations.len() - kept,
        origin: with_short_texts(&evidence.origin, room.text)?,
        judged: evidence.judged.as_deref().map(shortened),
        focus: evidence.focus.clone(),
        timeline: with_short_texts(&timeline(evidence, room), room.text)?,
    })
}

/// A copy in which every longer text is cut. Maps in it must not depend on the order of their keys.
fn with_short_texts<T: Serialize + DeserializeOwned>(of: &T, most: usize) -> Result<T> {
    let what = || "cannot shorten the evidence";
    let mut tree = serde_json::to_value(of).or_lab(what)?;
    shorten(&mut tree, most);
    serde_json::from_value(tree).or_lab(what)
}

/// Cuts a longer text, and says how long it was.
fn cut(text: &mut String, most: usize) {
    if let Cow::Owned(cut) = shortened_from(text, most, text.len()) {
        *text = cut;
    }
}

fn shorten(tree: &mut Value, most: usize) {
    match tree {
        Value::String(text) => cut(text, most),
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, most)),
        Value::Object(entries) => entries.values_mut().for_each(|value| shorten(value, most)),
        _ => {}
    }
}

/// Keeps the beginning and the end of each stretch between two actions, and the tables that a look shows.
fn timeline(evidence: &Evidence, room: Room) -> Timeline {
    let events = evidence.timeline.events();
    let looked_at = before_looks(events);
    let stretches: Vec<&[Event]> = events.chunk_by(|a, b| comes(a) == comes(b)).collect();
    let most = fair_share(stretches.iter().filter(|s| comes(&s[0])).map(|s| s.len()), room.events);
    let mut folded = Timeline::default();
    let mut first = 0;
    for stretch in stretches {
        let (tail, head) = (most / 4, most - most / 4);
        let mut left = LeftOut::default();
        let mut from = None;
        let mut kept = Vec::new();
        for (n, event) in stretch.iter().enumerate() {
            if let What::LeftOut(before) = &event.what {
                // Folded once already.
                left += *before;
                from.get_or_insert((kept.len(), event.at));
                continue;
            }
            let is_shown = !comes(event) || n < head || n + tail >= stretch.len();
            if is_shown || looked_at.contains(&(first + n)) {
                kept.push(with_fewer_rows(event, evidence, room.rows, &mut left));
            } else {
                count(&event.what, &mut left);
            }
            if from.is_none() && !left.is_nothing() {
                from = Some((kept.len(), event.at));
            }
        }
        if let Some((place, at)) = from {
            kept.insert(place, Event { at, what: What::LeftOut(left) });
        }
        kept.into_iter().for_each(|event| {
            folded.add(event);
        });
        first += stretch.len();
    }
    folded
}

/// Whether it happened without being asked for, possibly a hundred thousand times.
fn comes(event: &Event) -> bool {
    matches!(
        event.what,
        What::Packet(_)
            | What::Printed { .. }
            | What::Sockets { .. }
            | What::Processes { .. }
            | What::LeftOut(_)
    )
}

/// The indices of the tables that are the latest ones at some look.
fn before_looks(events: &[Event]) -> HashSet<usize> {
    let mut latest: HashMap<(&str, bool), usize> = HashMap::new();
    let mut looked_at = HashSet::new();
    for (n, event) in events.iter().enumerate() {
        match &event.what {
            What::Sockets { host, .. } => drop(latest.insert((host, true), n)),
            What::Processes { host, .. } => drop(latest.insert((host, false), n)),
            What::Look { .. } => looked_at.extend(latest.values()),
            _ => {}
        }
    }
    looked_at
}

/// The most that each may have so that together they fit the room.
fn fair_share(lengths: impl Iterator<Item = usize>, room: usize) -> usize {
    let mut lengths: Vec<usize> = lengths.collect();
    lengths.sort_unstable();
    let mut rest = room;
    for (n, length) in lengths.iter().enumerate() {
        let share = rest / (lengths.len() - n);
        if *length > share {
            return share;
        }
        rest -= length;
    }
    usize::MAX
}

/// A table with the rows that the exercise is about and, as far as there is room, the others.
fn with_fewer_rows(event: &Event, evidence: &Evidence, most: usize, left: &mut LeftOut) -> Event {
    let mut event = event.clone();
    match &mut event.what {
        What::Sockets { rows, .. } if rows.len() > most => {
            left.rows += rows.len() - most;
            let ours = |port| evidence.ports.values().any(|own| *own == port);
            rows.sort_by_key(|row| !(ours(row.local.port()) || ours(row.remote.port())));
            rows.truncate(most);
        }
        What::Processes { rows, .. } if rows.len() > most => {
            left.rows += rows.len() - most;
            rows.truncate(most);
        }
        _ => {}
    }
    event
}

fn count(what: &What, left: &mut LeftOut) {
    match what {
        What::Packet(_) => left.packets += 1,
        What::Printed { .. } => left.prints += 1,
        _ => left.tables += 1,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        capture::Flags,
        observer::ProcessRow,
        report::{Format, in_json},
        timeline::Packet,
    };

    #[test]
    fn whoever_has_little_keeps_it() {
        assert_eq!(fair_share([3, 3].into_iter(), 6), usize::MAX);
        assert_eq!(fair_share([1, 100, 100].into_iter(), 21), 10);
        assert_eq!(fair_share([5, 5].into_iter(), 0), 0);
    }

    /// The run kept beside the tests, with what `more` adds in its middle.
    fn run_with(more: impl Iterator<Item = What>) -> Evidence {
        let run = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run");
        let mut evidence = super::super::read(run.as_ref()).unwrap();
        let events = evidence.timeline.events().to_vec();
        let at = events[events.len() / 2].at;
        let mut timeline = Timeline::default();
        let (before, after) = events.split_at(events.len() / 2);
        for event in before.iter().cloned().chain(more.map(|what| Event { at, what })).chain(after.to_vec()) {
            timeline.add(event);
        }
        evidence.timeline = timeline;
        evidence
    }

    /// Packets, each of its own connection or all of the same one.
    fn packets(of_one: bool, count: u32) -> impl Iterator<Item = What> {
        let run = run_with(std::iter::empty());
        let is_syn = |packet: &&Packet| packet.flags.any(Flags::SYN);
        let packet = run
            .timeline
            .events()
            .iter()
            .filter_map(|e| if let What::Packet(packet) = &e.what { Some(packet) } else { None })
            .find(|packet| is_syn(packet) != of_one)
            .cloned()
            .unwrap();
        (0..count).map(move |n| {
            let from_port = if of_one { packet.from_port } else { 1024 + (n % 60_000) as u16 };
            What::Packet(Packet { number: n.into(), from_port, ..packet.clone() })
        })
    }

    fn tables() -> impl Iterator<Item = What> {
        let run = run_with(std::iter::empty());
        let row = |e: &Event| match &e.what {
            What::Sockets { host, rows } => rows.first().map(|row| (host.clone(), row.clone())),
            _ => None,
        };
        let process = |e: &Event| match &e.what {
            What::Processes { host, rows } => rows.first().map(|row| (host.clone(), row.clone())),
            _ => None,
        };
        let (host, row) = run.timeline.events().iter().find_map(row).unwrap();
        let (on, process) = run.timeline.events().iter().find_map(process).unwrap();
        let process = ProcessRow { argv: vec!["x".repeat(1000)], ..process };
        (0..8).flat_map(move |_| {
            [
                What::Sockets { host: host.clone(), rows: vec![row.clone(); 1000] },
                What::Processes { host: on.clone(), rows: vec![process.clone(); 180] },
            ]
        })
    }

    fn prints() -> impl Iterator<Item = What> {
        let text = "a line that a server prints\n".repeat(2000) + &"x".repeat(1 << 20);
        let print = What::Printed { program: "server".into(), host: "server".into(), text };
        std::iter::repeat_n(print, 8)
    }

    /// What each format makes of it.
    fn forms(evidence: &Evidence) -> Vec<String> {
        let forms = [Format::Html, Format::Json, Format::Markdown, Format::Junit];
        let mut texts: Vec<String> = forms.iter().map(|form| form.render(evidence).unwrap()).collect();
        texts.push(fitting(evidence, in_json).unwrap());
        texts
    }

    #[test]
    fn a_report_stays_small_and_says_what_it_leaves_out() {
        let mut long = run_with(packets(false, 10_000).chain(prints()).chain(tables()));
        long.programs.insert("server".into(), "x".repeat(900_000));
        long.conversations = long.conversations.iter().cycle().take(2000).cloned().collect();
        for (evidence, said) in [
            (run_with(packets(true, 20_000)), "more packets, in the capture"),
            (run_with(packets(false, 190_000)), "more packets, in the capture"),
            (run_with(prints()), "(1104576 bytes)"),
            (run_with(tables()), "\"left_out\""),
            (long, "more packets, in the capture"),
        ] {
            let begun = Instant::now();
            let texts = forms(&evidence);
            assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
            for text in &texts {
                assert!(text.len() < 5 << 20, "{} bytes of {}", text.len(), &text[..300]);
            }
            assert!(texts.iter().any(|text| text.contains(said)), "{said}");
            let (_, drawn) = drawable(&Followed::new(Cow::Borrowed(&evidence)), Detail::Clients);
            assert!(drawn.rows.len() <= MOST_ROWS_DRAWN && !drawn.is_empty(), "{} rows", drawn.rows.len());
            let lanes: usize = drawn.hosts.iter().map(|host| host.lanes).sum();
            assert!(lanes <= MOST_LANES_DRAWN, "{lanes} lanes");
            let [html, .., kept] = texts.as_slice() else { unreachable!() };
            let kept: Evidence = serde_json::from_str(kept).unwrap();
            assert_eq!(kept.outcome.checks.len(), evidence.outcome.checks.len());
            for check in &evidence.outcome.checks {
                assert!(html.contains(&format!("check-{}", check.id)), "{}", check.id);
            }
            let done = |e: &Evidence| e.timeline.events().iter().filter(|e| !comes(e)).count();
            assert_eq!(done(&kept), done(&evidence), "all that was done is told");
        }
    }

    #[test]
    fn a_run_of_the_usual_size_is_whole() {
        let run = run_with(std::iter::empty());
        let kept: Evidence = serde_json::from_str(&forms(&run)[4]).unwrap();
        assert!(in_json(&kept).unwrap() == in_json(&run).unwrap(), "something is missing, or changed");
    }
}
