//! Properties of every run's figure, however late its tables were sampled.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::OnceLock};

use proptest::prelude::*;

use super::{
    Density, Detail, Holder, Item, Ladder, NoteKind, Transition, alike::Alike, columns, labels::Shown,
    lifelines, order::Moment, sockets, trace::Trace,
};
use crate::{
    capture::Flags,
    capture::TcpState,
    judge::{Artifacts, judge},
    observer::{ProcessRow, render},
    record::Record,
    report::Evidence,
    time::Nanos,
    timeline::{Event, Packet, Timeline, What},
};

/// Runs of all sections, as they were recorded.
pub fn records() -> Vec<(String, Evidence)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/records");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let evidence = |folder: PathBuf| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let record = Record::read(&folder).unwrap();
        let artifacts = Artifacts::in_folder("".as_ref());
        (name, Evidence::new(&record, &judge(&record.exercise, &record, artifacts)))
    };
    let all: Vec<_> =
        folders.into_iter().filter(|folder| folder.join("record.json.gz").exists()).map(evidence).collect();
    assert!(!all.is_empty(), "runs are recorded");
    all
}

/// What a figure shows, in order.
struct Drawn {
    items: Vec<(Moment, Item)>,
    sockets: Vec<sockets::SocketLine>,
    lifelines: Vec<lifelines::Lifeline>,
    trace: Trace,
    evidence: Evidence,
}

impl Drawn {
    fn of(evidence: &Evidence) -> Self {
        let (hosts, trace, alike) = (columns(evidence), Trace::of(evidence), Alike::default());
        let mut sockets = sockets::lines(&trace, &hosts, |_| false);
        let lifelines = lifelines::lines(evidence, &trace, &sockets, |_| false);
        sockets::find_holders(&mut sockets, &hosts, &lifelines);
        let shown =
            Shown { evidence, hosts: &hosts, sockets: &sockets, lifelines: &lifelines, alike: &alike };
        let items = shown.items();
        Self { items, sockets, lifelines, trace, evidence: evidence.clone() }
    }

    fn packets(&self) -> impl Iterator<Item = (usize, &Packet)> {
        self.items.iter().enumerate().filter_map(|(place, (_, item))| match item {
            Item::Arrow { packet, .. } => Some((place, packet)),
            _ => None,
        })
    }

    /// Where the changes of a socket are among the items.
    fn changes(&self, line: usize) -> Vec<(usize, sockets::Change)> {
        let is_its = |item: &Item| match item {
            Item::Socket { line: n, .. } | Item::Unseen { line: n } => *n == line,
            _ => false,
        };
        let places =
            self.items.iter().enumerate().filter(|(_, (_, item))| is_its(item)).map(|(place, _)| place);
        places.zip(self.sockets[line].changes.iter().map(|(_, change)| *change)).collect()
    }

    /// What is wrong with it.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.items.is_sorted_by_key(|(at, _)| at.at) {
            wrong.push("times do not ascend".to_owned());
        }
        for line in 0..self.sockets.len() {
            match self.sockets[line].key.peer {
                None => self.listens(line, &mut wrong),
                Some(_) => self.connects(line, &mut wrong),
            }
        }
        self.begins(&mut wrong);
        wrong
    }

    /// A port that answers a SYN must be listening by then.
    fn listens(&self, line: usize, wrong: &mut Vec<String>) {
        let key = &self.sockets[line].key;
        let first = self.changes(line)[0].0;
        let answer = self.packets().find(|(_, p)| {
            (&p.from, p.from_port) == (&key.host, key.port) && p.flags.has(Flags::SYN | Flags::ACK)
        });
        let Some((_, answer)) = answer else { return };
        let asked = self.packets().find(|(_, p)| {
            (&p.from, p.from_port, &p.to, p.to_port) == (&answer.to, answer.to_port, &key.host, key.port)
                && p.flags.has(Flags::SYN)
        });
        if asked.is_some_and(|(asked, _)| asked < first) {
            wrong.push(format!("{}:{} answers a SYN before LISTEN", key.host, key.port));
        }
    }

    /// When a table first showed a socket in that state.
    fn shown(&self, key: &sockets::Key, state: TcpState) -> Nanos {
        let socket = &self.trace.sockets[key];
        let mut looks = socket.looks.iter().filter(|(_, look)| look.is_some_and(|look| look.state == state));
        looks.next().map_or(0, |(at, _)| *at)
    }

    /// A connection's states follow RFC 9293, 3.3.2: each begins after the TCP segment that causes it and is over by
    /// the one that ends it. Where a link is cut, a table may show a state before its TCP segment passes.
    fn connects(&self, line: usize, wrong: &mut Vec<String>) {
        let key = &self.sockets[line].key;
        let mine = |p: &Packet| sockets::Key::ends(p).iter().position(|end| end == key);
        let passed: Vec<(usize, bool, Flags)> =
            self.packets().filter_map(|(place, p)| mine(p).map(|end| (place, end == 0, p.flags))).collect();
        // The same two ports may be used by several connections in turn; a retransmitted SYN begins no new one.
        let is_syn = |(_, _, flags): &&(usize, bool, Flags)| flags.has(Flags::SYN) && !flags.has(Flags::ACK);
        let is_one = passed.iter().filter(is_syn).count() <= 1;
        let first = |is_sent: bool, flags: Flags| {
            passed.iter().find(|(_, sent, f)| *sent == is_sent && f.has(flags)).map(|(place, ..)| *place)
        };
        let changes = self.changes(line);
        let mut before = None;
        for (n, (place, change)) in changes.iter().enumerate() {
            let sockets::Change::Looks(look) = change else { continue };
            let until = changes.get(n + 1).map_or(usize::MAX, |(place, _)| *place);
            let mut object = |what: &str| wrong.push(format!("{key:?}: {} {what}", look.state));
            if before.is_some_and(|before| before != look.state && !follows(before, look.state)) {
                object("is out of order");
            }
            before = Some(look.state);
            let (sent_fin, got_fin) = (first(true, Flags::FIN), first(false, Flags::FIN));
            let (makers, enders): (Vec<Option<usize>>, Vec<Option<usize>>) = match look.state {
                TcpState::SynSent => {
                    (vec![first(true, Flags::SYN)], vec![first(false, Flags::SYN | Flags::ACK)])
                }
                TcpState::SynRecv => (vec![first(false, Flags::SYN)], vec![]),
                TcpState::Established => (
                    vec![first(true, Flags::SYN | Flags::ACK).or(first(false, Flags::SYN | Flags::ACK))],
                    vec![sent_fin, got_fin],
                ),
                TcpState::FinWait1 | TcpState::FinWait2 => (vec![sent_fin], vec![got_fin]),
                TcpState::CloseWait => (vec![got_fin], vec![sent_fin]),
                TcpState::LastAck | TcpState::TimeWait | TcpState::Closing => {
                    (vec![sent_fin, got_fin], vec![])
                }
                TcpState::Listen | TcpState::Close => (vec![], vec![]),
            };
            if !is_one {
                continue;
            }
            let shown = self.shown(key, look.state);
            let has_passed = |maker: &&usize| self.items[**maker].0.at <= shown;
            if makers.iter().flatten().filter(has_passed).any(|maker| maker > place) {
                object("begins before its segment");
            }
            // A change comes after its TCP segment and before the next one.
            let next =
                |segment: usize| passed.iter().map(|(place, ..)| *place).find(|place| *place > segment);
            if enders.iter().flatten().filter_map(|ender| next(*ender)).any(|after| after < until) {
                object("goes on after the segment that ends it");
            }
        }
    }

    /// A process begins before its program prints anything and before it holds a socket.
    fn begins(&self, wrong: &mut Vec<String>) {
        let mut on: BTreeMap<&str, (&str, i32)> = BTreeMap::new();
        let mut printed: BTreeMap<(&str, i32), Nanos> = BTreeMap::new();
        for event in self.evidence.timeline.events() {
            match &event.what {
                What::Started { program, host, pid: Some(pid), .. } => drop(on.insert(program, (host, *pid))),
                What::Printed { program, .. } => {
                    if let Some(process) = on.get(&**program) {
                        printed.entry(*process).or_insert(event.at);
                    }
                }
                _ => {}
            }
        }
        for (n, line) in self.lifelines.iter().enumerate() {
            let is_birth = |item: &Item| matches!(item, Item::Process { lifeline, transition: Transition::Born, .. } if *lifeline == n);
            let born = self.items.iter().position(|(_, item)| is_birth(item)).unwrap();
            let place = |at: Nanos| {
                self.items.iter().position(|(m, item)| {
                    m.at >= at && matches!(item, Item::Note { kind: NoteKind::Output, .. })
                })
            };
            let is_only =
                self.lifelines.iter().filter(|l| (&l.host, l.pid) == (&line.host, line.pid)).count() == 1;
            let prints = printed.get(&(&*line.host, line.pid)).and_then(|at| place(*at));
            if is_only && prints.is_some_and(|prints| prints < born) {
                wrong.push(format!("{} {} prints before it begins", line.host, line.pid));
            }
            if line.parent.is_some_and(|parent| self.lifelines[parent].begun > line.begun) {
                wrong.push(format!("{} {} begins before its parent", line.host, line.pid));
            }
        }
    }
}

/// Whether the second state may follow the first, directly or later.
fn follows(before: TcpState, after: TcpState) -> bool {
    let order = |state| match state {
        TcpState::Listen => 0,
        TcpState::SynSent | TcpState::SynRecv => 1,
        TcpState::Established => 2,
        TcpState::FinWait1 | TcpState::CloseWait => 3,
        TcpState::FinWait2 | TcpState::Closing | TcpState::LastAck => 4,
        TcpState::TimeWait => 5,
        TcpState::Close => 6,
    };
    let is_active = |state| {
        matches!(state, TcpState::FinWait1 | TcpState::FinWait2 | TcpState::Closing | TcpState::TimeWait)
    };
    let is_passive = |state| matches!(state, TcpState::CloseWait | TcpState::LastAck);
    order(before) < order(after)
        && !(is_active(before) && is_passive(after))
        && !(is_passive(before) && is_active(after))
}

#[test]
fn every_recorded_run_is_drawn_in_the_kernels_order() {
    let wrong: Vec<String> = records()
        .iter()
        .flat_map(|(name, evidence)| {
            Drawn::of(evidence).wrong().into_iter().map(move |what| format!("{name}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rows_of_every_recorded_run_ascend() {
    for (name, evidence) in records() {
        for (density, detail) in [(Density::Shared, Detail::Few), (Density::Single, Detail::Clients)] {
            let ladder = Ladder::new(&evidence, density, detail);
            assert!(ladder.rows.is_sorted_by_key(|row| row.at), "{name}");
        }
    }
}

/// The same run, with each table of sockets and processes sampled that much later.
fn delayed(evidence: &Evidence, delays: &[Nanos]) -> Evidence {
    let mut latest: BTreeMap<(bool, String), Nanos> = BTreeMap::new();
    let mut delays = delays.iter().cycle();
    let mut timeline = Timeline::default();
    for event in evidence.timeline.events() {
        let table = match &event.what {
            What::Sockets { host, .. } => Some((true, host.clone())),
            What::Processes { host, .. } => Some((false, host.clone())),
            _ => None,
        };
        // The tables of one host stay in order.
        let at = table.map_or(event.at, |table| {
            let latest = latest.entry(table).or_default();
            *latest = (event.at + delays.next().unwrap()).max(*latest);
            *latest
        });
        timeline.add(Event { at, what: event.what.clone() });
    }
    Evidence { timeline, ..evidence.clone() }
}

fn small_records() -> &'static [(String, Evidence)] {
    static RECORDS: OnceLock<Vec<(String, Evidence)>> = OnceLock::new();
    RECORDS.get_or_init(|| {
        let is_small = |(_, evidence): &(String, Evidence)| evidence.timeline.events().len() < 500;
        records().into_iter().filter(is_small).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn however_late_the_tables_are_sampled_the_order_holds(delays in prop::collection::vec(0_u64..300_000_000, 40)) {
        // The large ones take long and add nothing.
        for (name, evidence) in small_records() {
            let wrong = Drawn::of(&delayed(evidence, &delays)).wrong();
            prop_assert!(wrong.is_empty(), "{name}: {wrong:#?}");
        }
    }
}

#[test]
fn a_process_whose_parent_was_never_seen_is_drawn_with_its_program() {
    let process = |pid, parent, sid| ProcessRow { sid, ..render::tests::process(pid, parent, "server") };
    let tables = [
        vec![process(10, 0, 10)],
        vec![process(10, 0, 10), process(12, 1, 10), process(13, 12, 13), process(14, 1, 14)],
    ];
    let (_, mut evidence) = records().remove(0);
    let started = What::Started {
        program: "server".into(),
        host: "server".into(),
        command: "./server".into(),
        pid: Some(10),
        redo: String::new(),
        own: true,
    };
    let seen = tables.map(|rows| What::Processes { host: "server".into(), rows });
    evidence.timeline = Timeline::default();
    for (at, what) in (1..).zip([started].into_iter().chain(seen)) {
        evidence.timeline.add(Event { at, what });
    }
    let ladder = Ladder::new(&evidence, Density::Single, Detail::Few);
    let drawn: Vec<_> = ladder.lifelines.iter().map(|line| (line.pid, line.parent)).collect();
    assert_eq!(drawn, [(10, None), (12, Some(0)), (13, Some(1))], "as the judge counts them");
}

#[test]
fn of_clients_that_did_the_same_a_few_are_drawn() {
    let (_, evidence) = records().into_iter().find(|(_, evidence)| evidence.outcome.exercise == "5").unwrap();
    let [few, all] =
        [Detail::Few, Detail::Clients].map(|detail| Ladder::new(&evidence, Density::Shared, detail));
    assert!(few.more >= 40 && all.more == 0, "{} more", few.more);
    assert_eq!(few.more * 2, all.sockets.len() - few.sockets.len(), "both ends of each");
    let said: usize = few
        .rows
        .iter()
        .flat_map(|row| &row.items)
        .filter_map(|item| match item {
            Item::Note { kind: NoteKind::More, text, .. } => text.split(' ').nth(2)?.parse::<usize>().ok(),
            _ => None,
        })
        .sum();
    assert_eq!(said, few.more, "and how many more there were");
    let holders =
        few.sockets.iter().flat_map(|s| &s.spans).filter(|s| matches!(s.is.holder, Holder::Process(_)));
    assert!(holders.count() > 5);
}
