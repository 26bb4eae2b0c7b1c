use std::{collections::HashSet, path::Path};

use super::*;
use crate::{
    capture::{Side, TcpState},
    exercise::facts::Count,
    judge,
    kernel::{ExitStatus, SocketRow},
    observer::render::tests::{process, socket},
    record::Record,
    report::{self, Narrator, Style},
    run::Folder,
};

/// A run kept beside the tests.
fn recorded(name: &str) -> Record {
    Record::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(name)).unwrap()
}

/// What a terminal shows of that run.
fn shown(record: &Record, verbose: bool) -> String {
    let mut narrator = Narrator::live(record, Style::Plain, verbose);
    let told: Vec<String> =
        record.timeline.events().iter().filter_map(|event| narrator.tell(event)).collect();
    told.into_iter().chain(narrator.finish()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_of_two_clients_is_shown_in_full() {
    let record = recorded("namespaces-2");
    let brief = shown(&record, false);
    insta::assert_snapshot!(brief);
    let lines: HashSet<&str> = brief.lines().collect();
    for event in record.timeline.events() {
        if let What::Packet(packet) = &event.what {
            assert!(lines.iter().any(|line| line.ends_with(&packet.line)), "{}", packet.line);
        }
    }
}

#[test]
fn thirty_clients_that_are_alike_are_summed_up() {
    let record = recorded("namespaces-5");
    let (brief, verbose) = (shown(&record, false), shown(&record, true));
    let (few, many) = (brief.lines().count(), verbose.lines().count());
    assert!(few < 700 && many > 2000, "{few} of {many} lines");
    assert!(brief.contains("… and 27 more clients like this one: 27 programs started"), "{brief}");
    assert!(brief.contains("[tcpechod] <defunct>\n… and 27 more like this one"), "{brief}");
    for event in record.timeline.events() {
        match &event.what {
            What::Look { name } => assert!(brief.contains(&format!("look “{name}”")), "{name}"),
            What::Say { text } => assert!(brief.contains(text), "{text}"),
            What::Packet(packet) => assert!(verbose.contains(&packet.line), "{}", packet.line),
            _ => {}
        }
    }
}

#[test]
fn every_program_that_a_check_reads_is_shown() {
    // A dozen clients come and go in section 1; a check reads what the twelfth received.
    let brief = shown(&recorded("namespaces-1"), false);
    assert!(brief.contains("twelfth on client1 → client 12"), "{brief}");
    assert!(!brief.contains("c9 on client1"), "one of those like it");
}

#[test]
fn every_section_fits_a_few_screens() {
    for section in ["1", "2", "3", "4", "5", "6"] {
        let brief = shown(&recorded(&format!("namespaces-{section}")), false);
        assert!(brief.lines().count() < 700, "section {section}: {} lines", brief.lines().count());
    }
}

/// Tells what happens on a lab of two hosts, with events one second apart.
struct Told(Teller, u64);

impl Told {
    fn new(focus: Focus) -> Self {
        let plan = crate::topology::load(None).unwrap().plan("mine", &[]).unwrap();
        let ports = [("port".to_owned(), 8002)].into();
        Self(Teller::new(&plan, Snapshot::new(&plan, &ports), focus), 0)
    }

    fn tell(&mut self, what: What) -> Vec<Line> {
        self.1 += 1_000_000_000;
        self.0.tell(&Event { at: self.1, what })
    }

    fn say(&mut self, what: What) -> String {
        let line = self.tell(what).pop().expect("it says something");
        let by_hand = line.by_hand.map_or_else(String::new, |command| format!(" [{command}]"));
        format!("{:?} | {} | {}{by_hand}", line.kind, line.who, line.text)
    }
}

fn start(program: &str, host: &str, command: &str, pid: i32) -> What {
    What::Started {
        program: program.into(),
        host: host.into(),
        command: command.into(),
        pid: Some(pid),
        redo: crate::commandline::on_host(host, command),
        own: false,
    }
}

fn connection(port: u16, state: TcpState) -> SocketRow {
    socket("198.18.0.2:8002", &format!("198.18.0.3:{port}"), state)
}

#[test]
fn each_event_has_one_wording() {
    let mut told = Told::new(Focus::default());
    let who = || ("a".to_owned(), "client1".to_owned());
    let mut said = vec![told.say(start("a", "client1", "tcpecho server 8002; true", 7))];
    let (program, _) = who();
    said.push(told.say(What::Typed { program, text: "hello\n".into() }));
    let (program, host) = who();
    said.push(told.say(What::Printed { program, host, text: "x".repeat(200) }));
    let (program, host) = who();
    said.push(told.say(What::Signaled {
        program,
        host,
        pid: 7,
        name: "tcpecho".into(),
        signal: "SIGINT".into(),
        redo: "netlab kill --signal INT --pid 7 client1".into(),
    }));
    let (program, host) = who();
    said.push(told.say(What::Ended { program, host, status: ExitStatus::Exited(1) }));
    said.push(told.say(What::TimedOut { waited_ms: 10_000, observed: vec!["no socket".into()] }));
    said.push(told.say(What::ObservationLost { why: "the host is gone".into() }));
    said.push(told.say(What::CaptureFull { bytes: 64 << 20 }));
    insta::assert_snapshot!(said.join("\n"), @r"
    Command | a on client1 | pid 7 [netlab exec --lab mine client1 -- sh -c 'tcpecho server 8002; true']
    Input | a on client1 | hello
    Output | a on client1 | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (200 bytes)
    Command | a on client1 | SIGINT → tcpecho (pid 7) on client1 [netlab kill --lab mine --signal INT --name tcpecho client1]
    Ended | a on client1 | exited with code 1
    TimedOut |  | gave up after 10 s: no socket
    ObservationLost |  | observation lost: the host is gone
    CaptureFull |  | the capture is full: it keeps the first 64 MiB
    ");
}

#[test]
fn a_look_shows_what_has_changed_and_what_a_check_asks_about() {
    let record = recorded("namespaces-2");
    let mut told = Told::new(Focus::of(&record.exercise, &record.roles, &[("port".to_owned(), 8002)].into()));
    let look = |told: &mut Told, name: &str| {
        let line = told.tell(What::Look { name: name.into() }).pop().unwrap();
        let server = line.tables.iter().find(|host| host.host == "server").unwrap();
        server.views.iter().filter_map(View::brief).collect::<Vec<_>>().join("\n")
    };
    let host = || "server".to_owned();
    let listen = socket("0.0.0.0:7", "0.0.0.0:0", TcpState::Listen);
    let rows = vec![listen.clone(), connection(40_000, TcpState::Established)];
    told.tell(What::Sockets { host: host(), rows });
    told.tell(What::Processes { host: host(), rows: vec![process(1, 0, "init"), process(9, 1, "tcpechod")] });
    let first = look(&mut told, "first");

    let alike = (0..6).map(|n| connection(41_000 + n, TcpState::TimeWait));
    told.tell(What::Sockets { host: host(), rows: [listen].into_iter().chain(alike).collect() });
    let second = look(&mut told, "second");
    let third = look(&mut told, "third");
    // A check asks about the sockets of this look.
    let asked = look(&mut told, "closed");
    assert_eq!(third, "", "nothing has changed");
    insta::assert_snapshot!([first, second, asked].join("\n"), @r"
    Active Internet connections (servers and established)
    Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
    tcp        0      0 0.0.0.0:7               0.0.0.0:*               LISTEN      -
    tcp        0      0 198.18.0.2:8002         198.18.0.3:40000        ESTABLISHED -

      PID  PPID S     TIME COMMAND
        1     0 S 00:00:00 init
        9     1 S 00:00:00 tcpechod

    Active Internet connections (servers and established)
    Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
    tcp        0      0 198.18.0.2:8002         198.18.0.3:41000        TIME_WAIT   -
    tcp        0      0 198.18.0.2:8002         198.18.0.3:41001        TIME_WAIT   -
    tcp        0      0 198.18.0.2:8002         198.18.0.3:41002        TIME_WAIT   -
    … and 3 more like this one
    … 1 row unchanged
    … gone since the last look: 198.18.0.2:8002–198.18.0.3:40000

    Active Internet connections (servers and established)
    Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
    tcp        0      0 198.18.0.2:8002         198.18.0.3:41000        TIME_WAIT   -
    tcp        0      0 198.18.0.2:8002         198.18.0.3:41001        TIME_WAIT   -
    tcp        0      0 198.18.0.2:8002         198.18.0.3:41002        TIME_WAIT   -
    … and 3 more like this one
    … 1 row unchanged
    ");
}

#[test]
fn a_judged_run_gives_neither_answer_nor_hints_and_says_whose_it_is() {
    let mut record = recorded("namespaces-2");
    record.judged = Some("server".into());
    record.programs.insert("server".into(), "/lab/TCPEchod {port}".into());
    record.origin.by = Some("alice".into());
    record.origin.command = Some("netlab check 2".into());
    let evidence = evidence(&record);
    for (form, texts) in [
        (report::Format::Html, ["run by alice", "<code>netlab check 2</code>", "server is <code>"]),
        (report::Format::Markdown, ["run by alice", "with `netlab check 2`", "server is `"]),
    ] {
        let text = form.render(&evidence).unwrap();
        for wanted in texts {
            assert!(text.contains(wanted), "{form:?}: {wanted}");
        }
        for unasked in ["The answer", "## Why", "hints", "After fork both processes have both descriptors"] {
            assert!(!text.contains(unasked), "{form:?}: {unasked}");
        }
    }
}

/// The evidence of a run.
fn evidence(record: &Record) -> report::Evidence {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Folder::of(folder.path()).unwrap().artifacts();
    report::Evidence::new(record, &judge::judge(&record.exercise, record, artifacts))
}

/// A run of two clients whose exercise expects the server to close first, and a third child.
fn failed() -> Record {
    let mut record = recorded("namespaces-2");
    for check in &mut record.exercise.checks {
        match check.id.as_str() {
            "client-closes-first" => check.show.conversations[1].closed_by = Some(Side::Server),
            "one-child-per-client" => check.show.processes[1].count = Count::Exactly(3),
            _ => {}
        }
    }
    record
}

#[test]
fn a_failed_check_leads_to_its_moment() {
    let evidence = evidence(&failed());
    let markdown = report::Format::Markdown.render(&evidence).unwrap();
    assert!(markdown.contains("(see look “connected”, process "), "{markdown}");
    assert!(markdown.contains("(see the end of the run, packet "), "{markdown}");
    let page = report::Format::Html.render(&evidence).unwrap();
    let attribute = |name: &str| -> Vec<String> {
        let start = format!(" {name}=\"");
        page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let ids: HashSet<String> = attribute("id").into_iter().collect();
    let links: Vec<String> =
        attribute("href").into_iter().filter_map(|link| link.strip_prefix('#').map(str::to_owned)).collect();
    let lost: Vec<_> = links.iter().filter(|id| !ids.contains(*id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    for check in evidence.outcome.checks.iter().filter(|check| check.moment.as_ref().unwrap().look.is_some())
    {
        let back = format!("check-{}", check.id);
        assert!(links.contains(&back), "from the look back to {back}");
    }
    assert!(links.iter().any(|id| id.ends_with("look-connected")), "{links:?}");
}
