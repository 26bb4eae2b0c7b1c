//! The observer against hosts that the test makes itself: a switch with one bridge, and two hosts on it.

use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio, time::Duration};

use crate::support::room::Room;
use netlab::{
    Result,
    capture::{Interface, RawPacket, TcpState},
    observer::{
        Observer, ProcessRow, Seen, Sightings, Tables,
        protocol::{Message, encode_json, read_frame},
        render,
    },
    runtime::{Watch, WatchedHost},
};
use nix::libc;
use tokio::time::{Instant, timeout_at};

/// An echo server that forks for each client and never reaps.
const SERVER: &str = "$l = IO::Socket::INET->new(Listen => 5, LocalPort => 8001) or die; \
     while ($c = $l->accept) { if (!fork) { print $c $_ while <$c>; exit } close $c }";
/// Sends a line, reads it back, says so and waits for its input's end.
const CLIENT: &str = "$c = IO::Socket::INET->new('198.18.0.1:8001') or die; \
     print $c qq(hello\\n); print scalar <$c>; STDOUT->flush; <STDIN>";

struct Eyes {
    observer: Observer,
    seen: Sightings,
    tables: Tables,
    packets: Vec<RawPacket>,
    blind: Vec<String>,
}

impl Eyes {
    async fn open(room: &Room) -> Result<Self> {
        Self::on(room, &room.watch()).await
    }

    async fn on(room: &Room, watch: &Watch) -> Result<Self> {
        let (observer, seen) = Observer::attach(room.observe(), watch).await?;
        Ok(Self { observer, seen, tables: Tables::default(), packets: Vec::new(), blind: Vec::new() })
    }

    fn take(&mut self, seen: Seen) {
        self.tables.apply(&seen);
        match seen {
            Seen::Packet(packet) => self.packets.push(packet),
            Seen::ObservationLost { why, .. } => self.blind.push(why),
            Seen::Gone { host, .. } => self.blind.push(format!("host {host} is gone")),
            _ => {}
        }
    }

    async fn until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition(self) {
            let Ok(next) = timeout_at(deadline, self.seen.next()).await else {
                panic!("not seen: {what}\n{:#?}", self.tables);
            };
            let Some(seen) = next else {
                panic!("lost while waiting for {what}: {:?}", self.observer.lost());
            };
            self.take(seen);
        }
    }

    /// Takes a snapshot with everything seen so far, without waiting for more.
    async fn look(&mut self) {
        self.observer.sample().await.unwrap();
        while let Some(seen) = self.seen.try_next() {
            self.take(seen);
        }
    }

    fn states(&self, host: &str) -> Vec<TcpState> {
        self.tables.sockets(host).iter().map(|s| s.state).collect()
    }
}

#[tokio::test]
async fn a_connection_from_its_first_packet_to_its_zombie() {
    let Some(room) = Room::open() else { return };
    let mut eyes = Eyes::open(&room).await.unwrap();
    assert!(eyes.tables.processes("server").is_empty(), "nothing was taken in yet");

    let _server = room.perl("server", SERVER);
    eyes.until("a listening socket", |e| e.tables.listener("server", 8001).is_some()).await;
    let (_, server) = eyes.tables.listener("server", 8001).unwrap();
    let server = server.expect("the listener has an owner").clone();
    assert_eq!((server.name.as_str(), server.argv[0].as_str()), ("perl", "perl"));
    assert_eq!(eyes.tables.processes("server")[0].pid, 1, "init is in the table");

    let mut client = room.perl("client", CLIENT);
    assert_eq!(client.line(), "hello\n");
    eyes.look().await;
    assert_eq!(eyes.states("client"), [TcpState::Established]);
    let sockets = eyes.tables.sockets("server");
    let connection = sockets.iter().find(|s| s.state == TcpState::Established).expect("established");
    let child = eyes.tables.children("server", server.pid).next().expect("a child");
    assert_eq!(connection.owners, [child.pid]);
    assert_eq!(child.ppid, server.pid);
    let payloads = eyes.packets.iter().filter(|p| p.data.ends_with(b"hello\n")).count();
    assert_eq!(payloads, 2, "the line and its echo, and by the time of the answer");

    client.end_input();
    eyes.until("a zombie", |e| e.tables.children("server", server.pid).any(ProcessRow::is_zombie)).await;
    eyes.until("TIME_WAIT", |e| e.states("client") == [TcpState::TimeWait]).await;
    let rows = eyes.tables.sockets("client");
    assert_eq!((rows[0].inode, rows[0].owners.len()), (0, 0));
    let times: Vec<_> = eyes.packets.iter().map(|p| p.at).collect();
    assert!(times.is_sorted() && times.iter().any(|t| t % 1000 != 0), "in order and in nanoseconds");
}

#[tokio::test]
async fn tables_look_as_the_real_tools_print_them() {
    let Some(room) = Room::open() else { return };
    let mut eyes = Eyes::open(&room).await.unwrap();
    let _server = room.perl("server", SERVER);
    eyes.until("a listening socket", |e| e.tables.listener("server", 8001).is_some()).await;
    let mut client = room.perl("client", CLIENT);
    client.line();
    // A process that still runs would sleep by the time that `ps` looks.
    let rest = |e: &Eyes, host: &str| e.tables.processes(host).iter().all(|p| p.state == 'S');
    eyes.look().await;
    eyes.until("everybody at rest", |e| rest(e, "server") && rest(e, "client")).await;

    for host in ["server", "client"] {
        let (sockets, processes) = (eyes.tables.sockets(host), eyes.tables.processes(host));
        let real = room.output(host, &["netstat", "-putan"]);
        assert_eq!(render::netstat_putan(sockets, processes), trimmed(&real));
        let real = room.output(host, &["netstat", "-tn"]);
        assert_eq!(render::netstat_tn(sockets), trimmed(&real));
        // ps also sees itself, and a process may be running or sleeping.
        let real = trimmed(&room.output(host, &["ps", "-eo", "pid,ppid,s,time,args"]));
        let real: String = real.split_inclusive('\n').filter(|l| !l.contains("ps -eo")).collect();
        assert_eq!(without_blanks(&render::ps(processes)), without_blanks(&real));
    }
}

/// The lines without trailing blanks.
fn trimmed(text: &str) -> String {
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// `ps` makes its columns as wide as the kernel's `pid_max` needs.
fn without_blanks(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test]
async fn a_signal_reaches_the_process_of_that_number_on_that_host() {
    let Some(room) = Room::open() else { return };
    let mut eyes = Eyes::open(&room).await.unwrap();
    let mut program = room.perl(
        "server",
        "$SIG{NUM40} = sub { print qq(forty\\n); STDOUT->flush }; print qq($$\\n); STDOUT->flush; sleep 1 while 1",
    );
    let pid: i32 = program.line().trim().parse().unwrap();
    assert_eq!(eyes.observer.resolve(program.id()).await.unwrap(), pid);

    eyes.look().await;
    assert!(eyes.tables.process("server", pid).unwrap().caught & 1 << 39 != 0);
    eyes.observer.signal("server", pid, 40).await.unwrap();
    assert_eq!(program.line(), "forty\n");
    eyes.observer.signal("server", pid, libc::SIGSTOP).await.unwrap();
    eyes.until("a stopped process", |e| e.tables.process("server", pid).unwrap().state == 'T').await;
    eyes.observer.signal("server", pid, libc::SIGKILL).await.unwrap();
    eyes.until("its end", |e| e.tables.process("server", pid).is_none_or(ProcessRow::is_zombie)).await;
    drop(program); // nsenter stops with its child, and so never asked how it ended
    eyes.until("nobody", |e| e.tables.process("server", pid).is_none()).await;

    let words = |e: netlab::Error| e.to_string();
    let gone = eyes.observer.signal("server", pid, 15).await.map_err(words);
    assert_eq!(gone, Err(format!("no process {pid} on server")));
    let stranger = eyes.observer.signal("printer", 1, 15).await.map_err(words);
    assert_eq!(stranger, Err("no host printer to observe".into()));
    let me = i32::try_from(std::process::id()).unwrap();
    let elsewhere = eyes.observer.resolve(me).await.map_err(words);
    assert_eq!(elsewhere, Err(format!("process {me} is not on a host of this lab")));
    assert!(eyes.observer.signal("server", 1, 99).await.is_err());
}

#[tokio::test]
async fn processor_time_comes_when_asked_for() {
    let Some(room) = Room::open() else { return };
    let mut eyes = Eyes::open(&room).await.unwrap();
    let mut program = room.perl("server", "print qq($$\\n); STDOUT->flush; 1 while 1");
    let pid: i32 = program.line().trim().parse().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while eyes.tables.process("server", pid).is_none_or(|p| p.ticks < 3) {
        assert!(Instant::now() < deadline, "no processor time seen");
        eyes.look().await;
    }
}

#[tokio::test]
async fn a_dead_host_is_told_and_the_others_go_on() {
    let Some(mut room) = Room::open() else { return };
    let mut eyes = Eyes::open(&room).await.unwrap();
    let _server = room.perl("server", SERVER);
    eyes.until("a listening socket", |e| e.tables.listener("server", 8001).is_some()).await;
    room.kill("server");
    eyes.until("the end of a host", |e| e.blind == ["host server is gone"]).await;
    assert!(eyes.tables.processes("server").is_empty() && eyes.tables.sockets("server").is_empty());
    assert!(eyes.observer.signal("server", 1, 15).await.is_err());
    eyes.look().await;
    assert_eq!(eyes.tables.processes("client")[0].pid, 1);
    assert_eq!(eyes.blind.len(), 1);

    // A later client gets it as well.
    let mut late = Eyes::open(&room).await.unwrap();
    late.until("the end of a host", |e| e.blind == ["host server is gone"]).await;
}

/// A host whose PID 1 moves to another root when its input ends.
const MOVER: &str =
    "$| = 1; print qq(up\\n); <STDIN>; chroot shift or die; print qq(there\\n); sleep 1 while 1";

fn only(host: i32) -> Watch {
    Watch { hosts: vec![WatchedHost { name: "server".into(), init: host }], segments: Vec::new() }
}

/// A `/proc` faked by a host: a process that does not exist, whose arguments are a file of the machine's, and one that
/// is the machine's.
fn make_fake(proc: &Path, namespace: &Path, secret: &Path, victim: u32) {
    for folder in ["1/ns", "1/net", "1/fd", "7/fd"] {
        fs::create_dir_all(proc.join(folder)).unwrap();
    }
    symlink(namespace, proc.join("1/ns/pid")).unwrap();
    symlink(secret, proc.join("7/cmdline")).unwrap();
    symlink(format!("/proc/{victim}"), proc.join(victim.to_string())).unwrap();
    fs::copy("/proc/self/net/tcp", proc.join("1/net/tcp")).unwrap();
    fs::write(proc.join("1/cmdline"), "init\0").unwrap();
    for pid in [1, 7] {
        let stat = format!("{pid} (ghost) S 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0");
        fs::write(proc.join(format!("{pid}/stat")), stat).unwrap();
        fs::copy("/proc/self/status", proc.join(format!("{pid}/status"))).unwrap();
    }
}

#[tokio::test]
async fn what_lies_behind_pid_1_is_not_believed() {
    let Some(room) = Room::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "not for hosts").unwrap();
    let mut victim = std::process::Command::new("sleep").arg("60").spawn().unwrap();

    let mut host = Room::host(&["--mount-proc"], MOVER, folder.path());
    assert_eq!(host.line(), "up\n");
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", host.id())).unwrap();
    make_fake(&folder.path().join("proc"), &namespace, &secret, victim.id());
    host.end_input();
    assert_eq!(host.line(), "there\n");

    let mut eyes = Eyes::on(&room, &only(host.id())).await.unwrap();
    eyes.look().await;
    let seen: Vec<_> = eyes.tables.processes("server").iter().map(|p| (p.pid, p.name.as_str())).collect();
    assert_eq!(seen, [(1, "perl")]);
    assert!(!format!("{:?}", eyes.tables).contains("not for hosts"));
    for stranger in [7, victim.id().cast_signed()] {
        let refused =
            eyes.observer.signal("server", stranger, libc::SIGKILL).await.map_err(|e| e.to_string());
        assert_eq!(refused, Err(format!("no process {stranger} on server")));
    }
    assert!(victim.try_wait().unwrap().is_none(), "a process of the machine was killed");
    victim.kill().unwrap();
    victim.wait().unwrap();
}

/// Its root is nobody here, but 0 to itself.
#[tokio::test]
async fn a_host_may_have_a_user_namespace_of_its_own() {
    let Some(room) = Room::open() else { return };
    let source = "$| = 1; use IO::Socket; $l = IO::Socket::INET->new(Listen => 5, LocalPort => 8001) or die; \
                  if (!fork) { $> = $< = 1000; print qq(up\\n); sleep 1 while 1 } sleep 1 while 1";
    let host = Room::mapped_host(1_900_000_000, source);
    let mut eyes = Eyes::on(&room, &only(host.id())).await.unwrap();
    eyes.look().await;
    let users: Vec<_> = eyes.tables.processes("server").iter().map(|p| p.uid).collect();
    assert_eq!(users, [0, 1000]);
    let (socket, owner) = eyes.tables.listener("server", 8001).expect("a listening socket");
    assert_eq!((socket.uid, owner.map(|p| p.pid)), (0, Some(1)));
    assert_eq!(eyes.observer.resolve(host.id()).await.unwrap(), 1);
    eyes.observer.signal("server", 2, libc::SIGKILL).await.unwrap();
    eyes.until("its end", |e| e.tables.process("server", 2).is_none_or(ProcessRow::is_zombie)).await;
}

#[tokio::test]
async fn what_is_not_a_host_is_refused() {
    let Some(room) = Room::open() else { return };
    let mut bare = Room::host(&[], MOVER, Path::new("/"));
    assert_eq!(bare.line(), "up\n");
    let me = std::process::id().cast_signed();
    let no_host = format!("process {me} is not PID 1 of a host");
    for (init, why) in [(bare.id(), "it has no /proc of its own mounted"), (me, no_host.as_str())] {
        let error = Eyes::on(&room, &only(init)).await.err().expect("an error");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.contains("cannot observe host server") && cause.contains(why), "{cause}");
    }
}

#[tokio::test]
async fn an_observer_that_cannot_watch_says_why() {
    let Some(room) = Room::open() else { return };
    let segment = Interface { name: "lan".into(), device: "nosuch0".into() };
    let watch = Watch { segments: vec![segment], ..room.watch() };
    let error = Observer::attach(room.observe(), &watch).await.err().expect("an error");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(error.message, "the observer is lost");
    assert!(cause.contains("cannot capture segment lan on nosuch0"), "{cause}");
}

#[test]
fn it_ends_when_its_input_ends() {
    let Some(room) = Room::open() else { return };
    let mut child = room.observe_command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut frame = Vec::new();
    encode_json(&room.watch(), &mut frame);
    std::io::Write::write_all(&mut input, &frame).unwrap();
    let first = read_frame(&mut output).unwrap().unwrap();
    assert_eq!(first[0], b'J', "tables come before {:?}", Message::Ready { at: 0 });
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn it_ends_when_its_reader_is_dropped() {
    let Some(room) = Room::open() else { return };
    let Eyes { observer, mut seen, .. } = Eyes::open(&room).await.unwrap();
    drop(observer);
    let end = async { while seen.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), end).await.expect("the channel ends");
}
