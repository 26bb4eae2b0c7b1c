//! The judge on recorded runs, without a lab: the recorded runs pass, and each check fails if its evidence is
//! altered.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use netlab::{
    capture::{Flags, TcpState},
    exercise::model::Exercise,
    judge::{Artifacts, Outcome, Verdict, judge},
    kernel::{ExitStatus, SocketRow},
    observer::ProcessRow,
    record::Record,
    timeline::{Event, Packet, Timeline, What},
};

/// A run's name, and its record.
struct Run {
    name: String,
    record: Record,
}

/// The recorded runs, made by `tests/records/record`.
fn runs() -> &'static [Run] {
    static RUNS: OnceLock<Vec<Run>> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records");
        let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
        folders.sort();
        let read = |folder: PathBuf| {
            let record = Record::read(&folder).unwrap();
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            Run { name, record }
        };
        folders.into_iter().map(read).collect()
    })
}

fn judged(exercise: &Exercise, record: &Record) -> Outcome {
    judge(exercise, record, Artifacts::in_folder(Path::new("")))
}

#[test]
fn what_was_recorded_passes() {
    assert!(runs().len() >= 14);
    for run in runs() {
        let outcome = judged(&run.record.exercise_now(None).unwrap(), &run.record);
        let wrong: Vec<_> = outcome.checks.iter().filter(|check| check.verdict != Verdict::Pass).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", run.name);
    }
}

#[test]
fn a_record_is_the_same_once_it_was_written_and_read() {
    for run in runs() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(netlab::record::FILE), run.record.pack().unwrap()).unwrap();
        let again = Record::read(folder.path()).unwrap();
        let [before, after] = [&run.record, &again].map(|record| serde_json::to_string(record).unwrap());
        assert!(before == after, "{}", run.name);
    }
}

/// Changes what was seen.
type Alter = fn(&mut Vec<Event>);

/// Alterations of the recorded runs: each is what some wrong program would show.
const ALTERATIONS: [(&str, Alter); 21] = [
    ("nothing passes", |events| events.retain(|event| packet(event).is_none())),
    ("nobody sends FIN", |events| without_packets(events, |packet| packet.flags.has(Flags::FIN))),
    ("nobody sends RST", |events| without_packets(events, |packet| packet.flags.has(Flags::RST))),
    ("nothing comes back", |events| {
        without_packets(events, |packet| packet.len > 0 && packet.from == "server");
    }),
    ("nothing is printed", |events| events.retain(|event| !matches!(event.what, What::Printed { .. }))),
    ("something else is printed", print_something_else),
    ("programs do not end", |events| events.retain(|event| !matches!(event.what, What::Ended { .. }))),
    ("programs end otherwise", end_otherwise),
    ("programs end at once", end_at_once),
    ("no process is there", |events| processes(events, |_, rows| rows.clear())),
    ("no process has a parent", |events| each_process(events, |_, row| row.ppid = 0)),
    ("processes run", |events| each_process(events, |_, row| row.state = 'R')),
    ("processes use time", |events| each_process(events, |nth, row| row.ticks += 1000 * nth)),
    ("descriptors pile up", |events| each_process(events, |nth, row| row.descriptors += 10 * nth)),
    ("no zombie stays", |events| processes(events, |_, rows| rows.retain(|row| row.state != 'Z'))),
    ("every process is a zombie", |events| each_process(events, |_, row| row.state = 'Z')),
    ("whoever ends stays a zombie", zombies_stay),
    ("no socket is there", |events| sockets(events, Vec::clear)),
    ("sockets are nobody's", |events| each_socket(events, |row| row.owners.clear())),
    ("connections wait to be closed", |events| each_socket(events, wait_to_be_closed)),
    ("queues are full", |events| each_socket(events, |row| (row.recv_q, row.send_q) = (77, 77))),
];

fn packet(event: &Event) -> Option<&Packet> {
    if let What::Packet(packet) = &event.what { Some(packet) } else { None }
}

fn without_packets(events: &mut Vec<Event>, is_left_out: impl Fn(&Packet) -> bool) {
    events.retain(|event| !packet(event).is_some_and(&is_left_out));
}

fn print_something_else(events: &mut Vec<Event>) {
    for event in events {
        if let What::Printed { text, .. } = &mut event.what {
            *text = "something else\n".into();
        }
    }
}

fn end_otherwise(events: &mut Vec<Event>) {
    for event in events {
        if let What::Ended { status, .. } = &mut event.what {
            *status = ExitStatus::Exited(if *status == ExitStatus::Exited(0) { 7 } else { 0 });
        }
    }
}

fn end_at_once(events: &mut Vec<Event>) {
    let end = |event: Event| {
        let ended = match &event.what {
            What::Started { program, host, .. } => {
                let status = ExitStatus::Exited(0);
                Some(What::Ended { program: program.clone(), host: host.clone(), status })
            }
            _ => None,
        };
        let at = event.at;
        [Some(event), ended.map(|what| Event { at, what })].into_iter().flatten()
    };
    *events = std::mem::take(events).into_iter().flat_map(end).collect();
}

/// Changes each table of processes; `change` also gets the number of events before it.
fn processes(events: &mut [Event], mut change: impl FnMut(u64, &mut Vec<ProcessRow>)) {
    for (nth, event) in (0..).zip(events) {
        if let What::Processes { rows, .. } = &mut event.what {
            change(nth, rows);
        }
    }
}

fn each_process(events: &mut [Event], change: fn(u64, &mut ProcessRow)) {
    processes(events, |nth, rows| {
        rows.iter_mut().filter(|row| row.pid != 1).for_each(|row| change(nth, row));
    });
}

fn zombies_stay(events: &mut Vec<Event>) {
    let mut known = BTreeMap::<String, BTreeMap<i32, ProcessRow>>::new();
    for event in events {
        let What::Processes { host, rows } = &mut event.what else { continue };
        let known = known.entry(host.clone()).or_default();
        let gone = known.values().filter(|old| rows.iter().all(|row| row.pid != old.pid));
        let gone: Vec<_> = gone.map(|row| ProcessRow { state: 'Z', ..row.clone() }).collect();
        rows.extend(gone);
        known.extend(rows.iter().map(|row| (row.pid, row.clone())));
    }
}

fn sockets(events: &mut [Event], change: impl Fn(&mut Vec<SocketRow>)) {
    for event in events {
        if let What::Sockets { rows, .. } = &mut event.what {
            change(rows);
        }
    }
}

fn each_socket(events: &mut [Event], change: fn(&mut SocketRow)) {
    sockets(events, |rows| rows.iter_mut().for_each(change));
}

fn wait_to_be_closed(row: &mut SocketRow) {
    if row.state != TcpState::Listen {
        row.state = TcpState::CloseWait;
    }
}

#[test]
fn each_check_fails_where_something_else_is_seen() {
    let (mut all, mut failed) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<&str>>::new());
    for run in runs() {
        all.extend(run.record.exercise.checks.iter().map(|check| format!("{} {}", run.name, check.id)));
        for (name, alter) in &ALTERATIONS {
            let mut events = run.record.timeline.events().to_vec();
            alter(&mut events);
            let mut record = run.record.clone();
            record.timeline = Timeline::of(events);
            let outcome = judged(&run.record.exercise, &record);
            for check in outcome.checks.iter().filter(|check| check.verdict == Verdict::Fail) {
                failed.entry(format!("{} {}", run.name, check.id)).or_default().insert(name);
            }
        }
    }
    let never: Vec<_> = all.iter().filter(|check| !failed.contains_key(*check)).collect();
    assert!(never.is_empty(), "checks that nothing fails: {never:#?}");
    let noticed: BTreeSet<_> = failed.values().flatten().collect();
    let unused: Vec<_> =
        ALTERATIONS.iter().map(|(name, _)| name).filter(|name| !noticed.contains(name)).collect();
    assert!(unused.is_empty(), "alterations that no check notices: {unused:?}");
}
