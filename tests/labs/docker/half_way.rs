//! Labs that are half built or half removed, by a process that was killed or is still working.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use netlab::runtime::RuntimeKind;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::{left_of, netlab, succeeds};
use crate::support::{self, Lab, engine::PassedOn, unique};

/// A process that is still running after this time is waiting for something.
const A_WHILE: Duration = Duration::from_millis(500);

/// Returns this machine's engine behind a proxy that holds back requests containing these words.
fn holding(words: &str) -> (PassedOn, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let engine = PassedOn::at(folder.path().join("docker.sock"));
    engine.hold_when(words.as_bytes());
    (engine, folder)
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// Kills it.
fn end(mut child: Child) {
    send(&child, Signal::SIGKILL);
    child.wait().unwrap();
}

/// Returns a channel that receives a command's output once it has ended.
fn output_of(child: Child) -> Receiver<Output> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(child.wait_with_output().unwrap()));
    told
}

fn lines_of(child: &mut Child) -> Lines<BufReader<ChildStderr>> {
    BufReader::new(child.stderr.take().unwrap()).lines()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Even if nothing of it is visible yet.
pub fn what_an_engine_still_makes_is_waited_for() {
    for asked in ["/networks/create", "/containers/create"] {
        let lab = unique("d");
        let (engine, _folder) = holding(asked);
        let up = start(netlab(&lab, &["up"]).env("DOCKER_HOST", engine.url()));
        engine.wait_until_it_holds();
        end(up);
        let down = output_of(start(&mut netlab(&lab, &["down"])));
        assert_eq!(down.recv_timeout(A_WHILE).unwrap_err(), RecvTimeoutError::Timeout, "{asked}");
        engine.go_on();
        let Output { status, stderr, .. } = down.recv().unwrap();
        assert!(status.success(), "{}", text(&stderr));
        assert_eq!(left_of(&lab), "", "{asked}");
    }
}

/// All its hosts run, but not for long.
pub fn a_lab_that_was_being_removed_is_not_up() {
    let lab = Lab::up(RuntimeKind::Docker, support::ROOM);
    let (engine, _folder) = holding("DELETE /");
    let down = start(netlab(&lab.name, &["down"]).env("DOCKER_HOST", engine.url()));
    engine.wait_until_it_holds();
    end(down);
    let status = netlab(&lab.name, &["status"]).output().unwrap();
    let said = text(&status.stdout);
    assert_eq!(status.status.code(), Some(3), "{said}");
    assert!(said.contains("half built or half removed") && !said.contains("stopped"), "{said}");
    let up = netlab(&lab.name, &["up"]).output().unwrap();
    let said = text(&up.stderr);
    assert!(up.status.success() && said.contains("half built or half removed"), "{said}");
    // The engine still has to remove what existed, and nothing else.
    engine.go_on();
    assert_eq!(succeeds(netlab(&lab.name, &["status", "--json"])).matches("running").count(), 3);
    assert_eq!(succeeds(netlab(&lab.name, &["exec", "client1", "--", "hostname"])), "client1");
}

pub fn an_interrupted_down_goes_on_to_its_end() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let lab = Lab::up(RuntimeKind::Docker, "hosts: {a: {}}");
        let (engine, _folder) = holding("DELETE /");
        let mut down = start(netlab(&lab.name, &["down"]).env("DOCKER_HOST", engine.url()));
        engine.wait_until_it_holds();
        send(&down, signal);
        assert!(lines_of(&mut down).any(|line| line.unwrap().contains("is still being taken down")));
        engine.go_on();
        let Output { status, stdout, .. } = down.wait_with_output().unwrap();
        assert_eq!((status.code(), text(&stdout)), (Some(130), format!("took down: {}\n", lab.name)));
        assert_eq!(left_of(&lab.name), "");
    }
}

pub fn a_down_that_is_interrupted_twice_says_what_is_left() {
    let lab = Lab::up(RuntimeKind::Docker, "hosts: {a: {}}");
    let (engine, _folder) = holding("DELETE /");
    let mut down = start(netlab(&lab.name, &["down"]).env("DOCKER_HOST", engine.url()));
    engine.wait_until_it_holds();
    send(&down, Signal::SIGINT);
    let mut lines = lines_of(&mut down).map(Result::unwrap);
    assert!(lines.any(|line| line.contains("is still being taken down")));
    send(&down, Signal::SIGINT);
    let finishes = format!("`netlab down --lab {}` finishes it", lab.name);
    assert!(lines.any(|line| line.contains(&finishes)));
    assert_eq!(down.wait().unwrap().code(), Some(130));
    engine.go_on();
    succeeds(netlab(&lab.name, &["down"]));
    assert_eq!(left_of(&lab.name), "");
}

pub fn ups_and_downs_at_once_take_turns() {
    let lab = unique("d");
    let at_once = |verb: &str| {
        let all: Vec<_> = (0..3).map(|_| start(&mut netlab(&lab, &[verb]))).collect();
        all.into_iter().map(|child| child.wait_with_output().unwrap()).collect::<Vec<_>>()
    };
    for up in at_once("up") {
        assert!(up.status.success() && text(&up.stdout).contains("running"), "{}", text(&up.stderr));
    }
    assert_eq!(succeeds(netlab(&lab, &["exec", "client1", "--", "hostname"])), "client1");
    let downs = at_once("down");
    assert!(downs.iter().all(|down| down.status.success()));
    assert_eq!(downs.iter().filter(|down| text(&down.stdout).starts_with("took down")).count(), 1);
    assert_eq!(left_of(&lab), "");
}

/// At any moment; `NETLAB_ROUNDS` sets how often.
pub fn an_end_by_force_at_any_moment_leaves_nothing() {
    let rounds = std::env::var("NETLAB_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6);
    let lab = unique("d");
    for round in 0..rounds {
        // Spread over the duration of `up` and `down`, in shuffled order.
        let moment = Duration::from_millis(60 + round * 379 % 620);
        let begun = start(&mut netlab(&lab, &["up"]));
        let begun = if round % 2 == 0 {
            begun
        } else {
            assert!(begun.wait_with_output().unwrap().status.success());
            start(&mut netlab(&lab, &["down"]))
        };
        pass(moment);
        end(begun);
        if round % 4 > 1 {
            succeeds(netlab(&lab, &["up"]));
            let told = succeeds(netlab(
                &lab,
                &["exec", "client1", "--", "sh", "-c", "echo hi | tcpecho server 8007"],
            ));
            assert!(told.contains("hi"), "round {round}, after {moment:?}: {told}");
        }
        succeeds(netlab(&lab, &["down"]));
        assert_eq!(left_of(&lab), "", "round {round}, after {moment:?}");
        pass(A_WHILE);
        assert_eq!(left_of(&lab), "", "a while after round {round}, {moment:?}");
    }
}

/// Waits while others work.
fn pass(time: Duration) {
    let (_nobody, told) = mpsc::channel::<()>();
    assert_eq!(told.recv_timeout(time), Err(RecvTimeoutError::Timeout));
}
