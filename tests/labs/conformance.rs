//! One suite for every runtime: whatever a lab is made of, it must behave the same, case by case.
//!
//! A runtime that this machine cannot offer has its cases reported as ignored, never as passed.
//! Under `CI=true` a Docker engine that is installed must answer.

use std::{future::Future, pin::Pin, sync::Mutex, time::Duration};

use crate::support::{self, Lab, in_time, trials::On};
use libtest_mimic::Trial;
use netlab::{
    capture::{Decoder, Frame, TcpState},
    kernel::ExitStatus,
    observer::{Seen, Session, Tables, Tape, TapeEvent},
    runtime::{self, Command, HostState, LabState, Lack, Process, RuntimeKind, Step, TerminalSize, lacking},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Case = for<'l> fn(&'l Lab) -> Pin<Box<dyn Future<Output = ()> + 'l>>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), |lab| Box::pin($name(lab)))),*] };
}

/// Cases that share a lab, since none of them changes it for the others.
const SHARED: &[(&str, Case)] = cases![
    every_host_runs,
    streams_and_exit_code_pass_through,
    an_unknown_program_is_told_as_a_shell_tells_it,
    end_of_input_reaches_the_program,
    a_signal_ends_a_program,
    a_terminal_is_real_and_can_be_resized,
    dispositions_are_the_default_ones,
    own_programs_inherit_nothing,
    hosts_know_each_other_by_name,
    logs_hold_what_own_programs_print,
    a_started_program_goes_on_by_itself,
    the_wire_is_seen_with_right_checksums,
    sockets_are_seen_with_their_owners,
    zombies_are_seen_and_orphans_are_reaped,
    environment_and_identity,
];

/// Cases that need a lab of their own.
const ALONE: &[(&str, Case)] = cases![
    a_host_sees_its_own_processes_only,
    down_leaves_nothing_and_says_so,
    a_dead_host_is_told,
    up_clears_what_a_broken_lab_left,
    labs_live_side_by_side,
    a_stopped_host_falls_silent_and_comes_back,
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for on in On::each("conformance") {
        let kind = on.kind;
        for (name, case) in SHARED {
            trials.push(on.trial(name, move || in_time(case(Lab::shared(kind)))));
        }
        for (name, case) in ALONE {
            trials.push(on.trial(name, move || in_time(case(&Lab::up(kind, support::ROOM)))));
        }
        let across = move || in_time(a_router_joins_two_segments(&Lab::up(kind, support::TWO_SEGMENTS)));
        trials.push(on.trial("a_router_joins_two_segments", across));
        let slow = move || in_time(up_waits_until_the_server_listens(&Lab::up(kind, SLOW_SERVER)));
        trials.push(on.trial("up_waits_until_the_server_listens", slow));
        let silent = move || support::block_on(a_server_that_does_not_listen_is_told(kind));
        trials.push(on.trial("a_server_that_does_not_listen_is_told", silent));
    }
    trials
}

/// Runs a command with this input; returns how it ended, and both outputs.
async fn run(lab: &Lab, host: &str, argv: &[&str], input: &str) -> (ExitStatus, String, String) {
    let process = lab.runtime.exec(&lab.name, host, &Command::new(argv.iter().copied())).await.unwrap();
    let Process { mut stdin, mut stdout, mut stderr, mut handle, .. } = process;
    let feed = async {
        // A program that does not read its input may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        let _ = stdin.shutdown().await;
    };
    let (mut out, mut err) = (String::new(), String::new());
    let ((), a, b) = tokio::join!(feed, stdout.read_to_string(&mut out), stderr.read_to_string(&mut err));
    a.and(b).unwrap();
    (handle.wait().await.unwrap(), out, err)
}

async fn output(lab: &Lab, host: &str, argv: &[&str]) -> String {
    let (status, out, err) = run(lab, host, argv, "").await;
    assert_eq!(status, ExitStatus::Exited(0), "{argv:?} on {host}: {err}");
    out
}

/// Reads until the text has come.
async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), text: &str) -> String {
    let mut all = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&all).contains(text) {
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).await.unwrap();
            assert!(n > 0, "the stream ended before {text:?}: {:?}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&buffer[..n]);
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), read).await.is_ok();
    let all = String::from_utf8_lossy(&all).into_owned();
    assert!(in_time, "no {text:?} came, but {all:?}");
    all
}

async fn watch(lab: &Lab) -> Session {
    Session::open(lab.runtime.as_ref(), &lab.name).await.unwrap()
}

/// Waits until the tables are so.
async fn see(session: &mut Session, what: &str, condition: impl FnMut(&Tables) -> bool) {
    assert!(session.until(Duration::from_secs(10), condition).await.unwrap(), "never seen: {what}");
}

/// Waits until the server's own command listens, which starting a lab does not. Returns its pid.
async fn server_listens(lab: &Lab) -> i32 {
    let mut session = watch(lab).await;
    let listener = |t: &Tables| t.listeners("server").next().map(|(_, process)| process.pid);
    see(&mut session, "the host's own command", |t| listener(t).is_some()).await;
    listener(&session.tables).unwrap()
}

async fn every_host_runs(lab: &Lab) {
    let state = lab.runtime.lab(&lab.name).await.unwrap().expect("the lab is up");
    assert_eq!(state.plan, lab.plan);
    assert_eq!(state.hosts, vec![HostState::Running; 3]);
    assert!(state.is_whole());
    let all = lab.runtime.labs().await.unwrap();
    assert!(all.iter().any(|other| other.plan == lab.plan));
    assert!(lab.runtime.lab("no-such-lab").await.unwrap().is_none());
}

async fn streams_and_exit_code_pass_through(lab: &Lab) {
    let script = "read line; echo \"out $line\"; echo err >&2; exit 7";
    let (status, out, err) = run(lab, "client1", &["sh", "-c", script], "hello\n").await;
    assert_eq!((status, out.as_str(), err.as_str()), (ExitStatus::Exited(7), "out hello\n", "err\n"));
    let (status, ..) = run(lab, "client1", &["sh", "-c", "kill -9 $$"], "").await;
    assert_eq!(status, ExitStatus::Signaled(9));
}

async fn an_unknown_program_is_told_as_a_shell_tells_it(lab: &Lab) {
    let (status, _, err) = run(lab, "server", &["no-such-program"], "").await;
    assert_eq!(status, ExitStatus::Exited(127));
    assert!(err.contains("no-such-program"), "{err}");
}

async fn end_of_input_reaches_the_program(lab: &Lab) {
    let long = "0123456789abcdef".repeat(20_000);
    let (status, out, _) = run(lab, "client1", &["cat"], &long).await;
    assert_eq!(status, ExitStatus::Exited(0));
    assert!(out == long, "{} bytes came back of {}", out.len(), long.len());
}

async fn a_signal_ends_a_program(lab: &Lab) {
    let session = watch(lab).await;
    let command = Command::new(["sleep", "1000"]);
    let mut process = lab.runtime.exec(&lab.name, "client1", &command).await.unwrap();
    let pid = session.observer.resolve(process.pid).await.unwrap();
    session.observer.signal("client1", pid, 2).await.unwrap();
    assert_eq!(process.handle.wait().await.unwrap(), ExitStatus::Signaled(2));
    assert_eq!(process.handle.wait().await.unwrap(), ExitStatus::Signaled(2), "asked again");
    let gone = session.observer.signal("client1", 4_000_000, 15).await.unwrap_err();
    assert!(gone.to_string().contains("4000000"), "{gone}");
}

async fn a_terminal_is_real_and_can_be_resized(lab: &Lab) {
    let mut command = Command::new(["bash", "--norc", "-i"]);
    command.terminal = Some(TerminalSize { rows: 33, columns: 99 });
    let mut process = lab.runtime.exec(&lab.name, "client1", &command).await.unwrap();
    process.stdin.write_all(b"tty; stty size; echo done$((1+1))\n").await.unwrap();
    let said = read_until(&mut process.stdout, "done2").await;
    assert!(said.contains("/dev/pts/"), "{said}");
    assert!(said.contains("33 99"), "{said}");
    process.handle.resize(TerminalSize { rows: 44, columns: 111 }).await.unwrap();
    process.stdin.write_all(b"stty size; echo done$((1+2))\n").await.unwrap();
    let said = read_until(&mut process.stdout, "done3").await;
    assert!(said.contains("44 111"), "{said}");
    process.stdin.write_all(b"echo ready$((1+3)); sleep 1000\n").await.unwrap();
    read_until(&mut process.stdout, "ready4").await;
    let mut session = watch(lab).await;
    see(&mut session, "sleep in the terminal", |t| {
        t.processes("client1").iter().any(|p| p.argv == ["sleep", "1000"] && p.ppid != 0)
    })
    .await;
    process.stdin.write_all(&[3]).await.unwrap();
    process.stdin.write_all(b"echo code=$?; exit 5\n").await.unwrap();
    assert_eq!(process.handle.wait().await.unwrap(), ExitStatus::Exited(5));
}

async fn dispositions_are_the_default_ones(lab: &Lab) {
    let status = output(lab, "client1", &["cat", "/proc/self/status"]).await;
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(signals(&status, field), 0, "{field}");
    }
}

/// A set of signals in a process's `status`, the two left out that the C library keeps to itself.
fn signals(status: &str, field: &str) -> u64 {
    let line = status.lines().find(|l| l.starts_with(field)).unwrap();
    let mask = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
    mask & !(1 << (32 - 1) | 1 << (33 - 1))
}

async fn own_programs_inherit_nothing(lab: &Lab) {
    let pid = server_listens(lab).await;
    let status = output(lab, "server", &["cat", &format!("/proc/{pid}/status")]).await;
    assert_eq!((signals(&status, "SigBlk"), signals(&status, "SigIgn")), (0, 0), "{status}");
    let descriptors = output(lab, "server", &["ls", &format!("/proc/{pid}/fd")]).await;
    assert_eq!(descriptors.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"], "3 listens");
    let descriptors = output(lab, "server", &["ls", "/proc/1/fd"]).await;
    assert_eq!(descriptors.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2"]);
}

async fn hosts_know_each_other_by_name(lab: &Lab) {
    server_listens(lab).await;
    for from in ["client1", "client2"] {
        let (status, out, err) = run(lab, from, &["tcpecho", "server", "8007"], "over the wire\n").await;
        assert_eq!(status, ExitStatus::Exited(0), "{err}");
        assert!(out.contains("over the wire"), "{out}");
    }
    assert_eq!(output(lab, "client2", &["hostname"]).await.trim(), "client2");
}

async fn a_host_sees_its_own_processes_only(lab: &Lab) {
    server_listens(lab).await;
    let names = output(lab, "server", &["ps", "-e", "-o", "pid=,comm="]).await;
    let mut names = names.lines().map(str::trim);
    assert_eq!(names.next(), Some("1 lab-init"));
    let mut names: Vec<_> = names.filter_map(|line| line.split_once(' ')).map(|(_, name)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["ps", "tcpechod"]);
}

async fn logs_hold_what_own_programs_print(lab: &Lab) {
    let mut log = lab.runtime.logs(&lab.name, "server", true).await.unwrap();
    read_until(&mut log, "8007").await;
    let script = "echo to standard output; echo to standard error >&2";
    lab.runtime.start(&lab.name, "server", &Command::new(["sh", "-c", script])).await.unwrap();
    let said = read_until(&mut log, "standard error").await;
    assert!(said.contains("to standard output"), "{said}");
    let mut log = lab.runtime.logs(&lab.name, "server", false).await.unwrap();
    let mut all = String::new();
    log.read_to_string(&mut all).await.unwrap();
    assert!(all.contains("to standard output") && all.contains("8007"), "{all}");
}

async fn a_started_program_goes_on_by_itself(lab: &Lab) {
    let mut session = watch(lab).await;
    lab.runtime.start(&lab.name, "client2", &Command::new(["sleep", "1234"])).await.unwrap();
    let started =
        |t: &Tables| t.processes("client2").iter().find(|p| p.argv == ["sleep", "1234"]).map(|p| p.pid);
    see(&mut session, "the program", |t| started(t).is_some()).await;
    let pid = started(&session.tables).unwrap();
    session.observer.signal("client2", pid, 9).await.unwrap();
    see(&mut session, "that it is gone, reaped", |t| t.process("client2", pid).is_none()).await;
}

async fn the_wire_is_seen_with_right_checksums(lab: &Lab) {
    let mut session = watch(lab).await;
    run(lab, "client2", &["tcpecho", "server", "8007"], "seen on the wire\n").await;
    let mut payloads = 0;
    for seen in session.look().await.unwrap() {
        if let Seen::Packet(packet) = seen
            && let Some((right, payload)) = support::tcp_checksum(&packet.data)
        {
            assert!(right, "a wrong checksum on the wire");
            payloads += usize::from(payload.windows(16).any(|w| w == b"seen on the wire"));
        }
    }
    assert_eq!(payloads, 2, "the line passes once each way");
}

async fn sockets_are_seen_with_their_owners(lab: &Lab) {
    let mut session = watch(lab).await;
    let command = Command::new(["tcpecho", "server", "8007"]);
    let mut client = lab.runtime.exec(&lab.name, "client1", &command).await.unwrap();
    client.stdin.write_all(b"here\n").await.unwrap();
    read_until(&mut client.stdout, "here").await;
    let pid = session.observer.resolve(client.pid).await.unwrap();
    let mine = |tables: &Tables| {
        let socket = tables.sockets("client1").iter().find(|s| s.owners == [pid])?;
        (socket.state == TcpState::Established && socket.remote.port() == 8007).then_some(socket.local)
    };
    see(&mut session, "the client's connection", |t| mine(t).is_some()).await;
    let local = mine(&session.tables).unwrap();
    let child_and_parent = |tables: &Tables| {
        let other = tables.sockets("server").iter().find(|s| s.remote == local)?;
        let child = tables.process("server", *other.owners.first()?)?;
        let parent = tables.process("server", child.ppid)?;
        Some((child.name.clone(), parent.name.clone()))
    };
    // Each host is examined separately.
    see(&mut session, "the server's side of it", |t| child_and_parent(t).is_some()).await;
    let names = child_and_parent(&session.tables).unwrap();
    assert_eq!(names, ("tcpechod".to_owned(), "tcpechod".to_owned()));
    client.stdin.shutdown().await.unwrap();
    assert_eq!(client.handle.wait().await.unwrap(), ExitStatus::Exited(0));
    see(&mut session, "TIME_WAIT", |t| {
        t.sockets("client1").iter().any(|s| s.local == local && s.state == TcpState::TimeWait)
    })
    .await;
}

async fn zombies_are_seen_and_orphans_are_reaped(lab: &Lab) {
    let mut session = watch(lab).await;
    // sh becomes sleep, which never waits for the child that sh left it.
    let script = "sh -c 'exit 3' & exec sleep 1000";
    let process = lab.runtime.exec(&lab.name, "client1", &Command::new(["sh", "-c", script])).await.unwrap();
    let pid = session.observer.resolve(process.pid).await.unwrap();
    let zombie =
        |t: &Tables| t.processes("client1").iter().find(|p| p.ppid == pid && p.is_zombie()).map(|p| p.pid);
    see(&mut session, "a zombie", |t| zombie(t).is_some()).await;
    let left = zombie(&session.tables).unwrap();
    session.observer.signal("client1", pid, 9).await.unwrap();
    see(&mut session, "that PID 1 reaps what it inherits", |t| t.process("client1", left).is_none()).await;
}

async fn environment_and_identity(lab: &Lab) {
    let mut command = Command::new(["sh", "-c", "echo $COURSE $EXTRA $(id -u) $PATH"]);
    command.env.insert("EXTRA".into(), "more".into());
    let mut process = lab.runtime.exec(&lab.name, "client1", &command).await.unwrap();
    let mut out = String::new();
    process.stdout.read_to_string(&mut out).await.unwrap();
    assert!(out.starts_with("sockets more 0 /opt/netlab/bin:"), "{out}");
}

async fn down_leaves_nothing_and_says_so(lab: &Lab) {
    assert!(lab.runtime.down(&lab.name).await.unwrap());
    assert!(lab.runtime.lab(&lab.name).await.unwrap().is_none());
    assert!(!lab.runtime.down(&lab.name).await.unwrap(), "there is nothing any more");
}

/// Waits until a host of the lab is missed.
async fn broken(lab: &Lab) -> LabState {
    let look = || async {
        let state = lab.runtime.lab(&lab.name).await.unwrap().unwrap();
        (!state.is_whole()).then_some(state)
    };
    support::eventually(look).await
}

async fn a_dead_host_is_told(lab: &Lab) {
    let session = watch(lab).await;
    // Not even PID 1 of a host can refuse a signal from outside.
    session.observer.signal("client1", 1, 9).await.unwrap();
    let state = broken(lab).await;
    assert!(!state.is_running("client1") && state.is_running("server"));
    assert!(lab.runtime.exec(&lab.name, "client1", &Command::new(["true"])).await.is_err());
    assert_eq!(output(lab, "server", &["echo", "still here"]).await, "still here\n");
}

async fn up_clears_what_a_broken_lab_left(lab: &Lab) {
    let session = watch(lab).await;
    session.observer.signal("client2", 1, 9).await.unwrap();
    broken(lab).await;
    // Another lab may have its subnet by then.
    support::build(lab.runtime.as_ref(), &lab.name, support::ROOM).await;
    let state = lab.runtime.lab(&lab.name).await.unwrap().unwrap();
    assert!(state.is_whole());
    hosts_know_each_other_by_name(lab).await;
}

async fn a_stopped_host_falls_silent_and_comes_back(lab: &Lab) {
    let hardware = ["ip", "-br", "link", "show", "eth0"];
    let before = output(lab, "server", &hardware).await;
    let mut session = watch(lab).await;
    let command = Command::new(["tcpecho", "server", "8007"]);
    let mut client = lab.runtime.exec(&lab.name, "client1", &command).await.unwrap();
    client.stdin.write_all(b"here\n").await.unwrap();
    read_until(&mut client.stdout, "here").await;
    session.look().await.unwrap();

    lab.runtime.stop_host(&lab.name, "server").await.unwrap();
    lab.runtime.stop_host(&lab.name, "server").await.expect("stopped already is as good");
    let state = lab.runtime.lab(&lab.name).await.unwrap().unwrap();
    assert_eq!(state.hosts, [HostState::Stopped, HostState::Running, HostState::Running]);
    assert!(lab.runtime.exec(&lab.name, "server", &Command::new(["true"])).await.is_err());
    let seen = session.look().await.unwrap();
    assert!(seen.iter().any(|s| matches!(s, Seen::Gone { host, .. } if host == "server")), "{seen:?}");
    assert!(session.tables.processes("server").is_empty() && session.tables.sockets("server").is_empty());
    let of_server = |s: &&Seen| {
        let Seen::Packet(packet) = s else { return false };
        Decoder::new().segment(&Frame::from(packet)).is_some_and(|segment| segment.src.port() == 8007)
    };
    assert_eq!(seen.iter().filter(of_server).count(), 0, "no FIN and no RST: {seen:?}");
    let open = |t: &Tables| t.sockets("client1").iter().any(|s| s.state == TcpState::Established);
    assert!(open(&session.tables), "nobody told the client");

    let watched = lab.runtime.start_host(&lab.name, "server").await.unwrap();
    let again = lab.runtime.start_host(&lab.name, "server").await.unwrap();
    assert_eq!((watched.name.as_str(), watched.init), ("server", again.init), "it runs already");
    session.watch_again(&watched).await.unwrap();
    see(&mut session, "its own command, started anew", |t| t.listener("server", 8007).is_some()).await;
    assert!(lab.runtime.lab(&lab.name).await.unwrap().unwrap().is_whole());
    let after = output(lab, "server", &hardware).await;
    assert_eq!(before.split_whitespace().last(), after.split_whitespace().last(), "same link");
    assert!(open(&session.tables), "nobody has told the client yet");
    client.stdin.write_all(b"again\n").await.unwrap();
    read_until(&mut client.stderr, "Connection reset by peer").await;
    assert_eq!(client.handle.wait().await.unwrap(), ExitStatus::Exited(1));
    hosts_know_each_other_by_name(lab).await;
}

async fn labs_live_side_by_side(lab: &Lab) {
    let other = Lab::start(lab.runtime.kind(), support::ROOM).await;
    hosts_know_each_other_by_name(lab).await;
    hosts_know_each_other_by_name(&other).await;
    other.runtime.down(&other.name).await.unwrap();
    hosts_know_each_other_by_name(lab).await;
}

/// Whose server takes its time.
const SLOW_SERVER: &str = "\
hosts:
  server: {role: server, run: 'sleep 0.5; exec tcpechod 8007'}
  client: {role: client}
";

/// Also when its host comes back.
async fn up_waits_until_the_server_listens(lab: &Lab) {
    for _ in 0..2 {
        let (status, out, err) = run(lab, "client", &["tcpecho", "server", "8007"], "at once\n").await;
        assert_eq!(status, ExitStatus::Exited(0), "{err}");
        assert!(out.contains("at once"), "{out}");
        lab.runtime.stop_host(&lab.name, "server").await.unwrap();
        lab.runtime.start_host(&lab.name, "server").await.unwrap();
    }
}

async fn a_server_that_does_not_listen_is_told(kind: RuntimeKind) {
    let (name, runtime) = (support::unique("t"), support::open(kind).await.unwrap());
    let topology = support::parse("hosts: {server: {role: server, run: 'true'}, client: {run: 'true'}}");
    let said = Mutex::new(Vec::new());
    let note = |step: Step| said.lock().unwrap().push(step);
    let plan = runtime::build(runtime.as_ref(), &topology, &name, &note).await.unwrap();
    let _lab = Lab { runtime, name, plan };
    let said = said.into_inner().unwrap();
    let told = lacking(&said, Lack::Server).expect("a word about the server");
    assert!(
        told.contains("server on server, `true`, has ended") && told.contains("netlab logs server"),
        "{told}"
    );
    assert_eq!(lacking(&said, Lack::Wire), None);
}

async fn a_router_joins_two_segments(lab: &Lab) {
    let (status, out, err) = run(lab, "client", &["tcpecho", "server", "8007"], "across\n").await;
    assert_eq!(status, ExitStatus::Exited(0), "{err}");
    assert!(out.contains("across"), "{out}");
    let forwards = output(lab, "router", &["cat", "/proc/sys/net/ipv4/ip_forward"]).await;
    assert_eq!(forwards.trim(), "1");
    packets_of_several_segments_come_in_order(lab).await;
}

/// As the observer shows them, and as a recording has them: a packet passes one segment before the next.
async fn packets_of_several_segments_come_in_order(lab: &Lab) {
    let mut session = watch(lab).await;
    let (process, watched) = lab.runtime.observe(&lab.name).await.unwrap();
    let mut tape = Tape::open(process, &watched.segments).await.unwrap();
    let lines = "across\n".repeat(300);
    let (status, _, err) = run(lab, "client", &["tcpecho", "server", "8007"], &lines).await;
    assert_eq!(status, ExitStatus::Exited(0), "{err}");

    let seen = session.look().await.unwrap();
    let seen: Vec<_> =
        seen.iter().filter_map(|seen| if let Seen::Packet(p) = seen { Some(p.at) } else { None }).collect();
    assert!(seen.len() > 600 && seen.is_sorted(), "{} packets", seen.len());

    tape.finish();
    let mut recorded = Vec::new();
    loop {
        match tape.next().await.unwrap() {
            TapeEvent::Packets(_, blocks) => recorded.extend(blocks),
            TapeEvent::Done => break,
            TapeEvent::Counted(..) => {}
            lost @ TapeEvent::ObservationLost(_) => panic!("{lost:?}"),
        }
    }
    let times = times(&recorded);
    assert!(times.len() > 600 && times.is_sorted(), "{} packets", times.len());
}

/// The times of Enhanced Packet Blocks, in nanoseconds.
fn times(mut blocks: &[u8]) -> Vec<u64> {
    let mut times = Vec::new();
    while !blocks.is_empty() {
        let word = |at: usize| u32::from_le_bytes(blocks[at..at + 4].try_into().unwrap());
        times.push(u64::from(word(12)) << 32 | u64::from(word(16)));
        blocks = &blocks[word(4) as usize..];
    }
    times
}
