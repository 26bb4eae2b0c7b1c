//! `up`, `down` and `status`.

use std::{fs, path::Path, process::Stdio};

use netlab::runtime::RuntimeKind;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::bench::{Bench, eventually, text};

pub fn a_second_up_does_nothing_and_says_so(bench: &Bench) {
    let up = bench.run(&["up"]).success();
    let said = text(&up.get_output().stderr);
    assert!(said.contains(&format!("lab \"{}\" is already up on {}", bench.lab, bench.kind)), "{said}");
    assert!(text(&up.get_output().stdout).contains("198.18."));
}

pub fn status_has_its_shape(bench: &Bench) {
    let status = bench.json(&["status", "--json"]);
    assert_eq!(status["lab"], bench.lab.as_str());
    assert_eq!(status["runtime"], bench.kind.to_string());
    assert_eq!(status["whole"], true);
    assert_eq!(status["owner"].is_string(), bench.kind == RuntimeKind::Docker);
    assert!(status["elapsed_ms"].is_u64());
    let hosts = status["hosts"].as_array().unwrap();
    let names: Vec<_> = hosts.iter().map(|host| host["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["server", "client1", "client2"]);
    for host in hosts {
        assert_eq!((&host["segment"], &host["state"]), (&"lan".into(), &"running".into()));
        assert!(host["address"].as_str().unwrap().starts_with("198.18."), "{host}");
    }
    let all = bench.json(&["status", "--all", "--json"]);
    assert!(all["labs"].as_array().unwrap().iter().any(|lab| lab["lab"] == bench.lab.as_str()));
    let up = bench.json(&["up", "--json"]);
    assert_eq!(up["hosts"], status["hosts"]);
}

pub fn an_unknown_host_or_lab_gets_the_nearest_name(bench: &Bench) {
    for arguments in [
        &["exec", "srever", "--", "true"][..],
        &["logs", "srever"],
        &["kill", "srever"],
        &["shell", "srever"],
    ] {
        let said = bench.fails(2, arguments);
        assert!(said.contains("error: no host named \"srever\""), "{said}");
        assert!(said.contains("hint: did you mean server?"), "{said}");
    }
    let near = format!("{}x", bench.lab);
    let said = bench.fails(3, &["status", "--lab", &near]);
    assert!(said.contains(&format!("error: no lab named \"{near}\" is up")), "{said}");
    assert!(said.contains("hint: did you mean --lab c"), "{said}");
    let said = bench.fails(2, &["up", "--lab", "no/path"]);
    assert!(said.contains("no/path"), "{said}");
}

pub fn a_port_in_use_is_told_with_its_owner(bench: &Bench) {
    let captures = tempfile::tempdir().unwrap();
    let captures = captures.path().to_str().unwrap();
    let said = bench.fails(2, &["exercise", "2", "--port", "8007", "--captures", captures]);
    assert!(said.contains("error: port 8007 of server is in use by tcpechod (pid "), "{said}");
    assert!(said.contains("hint: "), "{said}");
}

/// An `up` that is stopped halfway.
pub const UNFINISHED: [(&str, fn()); 3] = [
    ("a_relative_state_folder_is_one", a_relative_state_folder_is_one),
    ("an_interrupted_up_clears_up", an_interrupted_up_clears_up),
    ("what_a_killed_up_left_is_cleared", what_a_killed_up_left_is_cleared),
];

/// How far `up` may have got: the file of its lab that shows it.
const MOMENTS: [&str; 5] = [".", "lab.json", "keeper.sock", "server.log", "client2.log"];

/// Starts a lab and stops the command with this signal once the lab has got that far. Returns the command's exit
/// code.
fn stopped_up(bench: &Bench, state: &Path, moment: &str, signal: Signal) -> Option<i32> {
    let mut command = bench.command(&["up"]);
    command.env("NETLAB_STATE", state).stdout(Stdio::null()).stderr(Stdio::null());
    let mut up = command.spawn().unwrap();
    let shown = state.join(&bench.lab).join(moment);
    eventually(moment, || (shown.exists() || up.try_wait().unwrap().is_some()).then_some(()));
    // It may already have ended, but has not been waited for.
    kill(Pid::from_raw(up.id().cast_signed()), signal).unwrap();
    up.wait().unwrap().code()
}

/// Asserts that nothing is left of the lab: no file and no keeper.
fn is_gone(bench: &Bench, state: &Path) {
    eventually("that no keeper is left", || {
        let mut processes = fs::read_dir("/proc").unwrap().flatten();
        let keeper = format!("keeper\0{}\0", bench.lab);
        let is_keeper = |line: Vec<u8>| String::from_utf8_lossy(&line).contains(&keeper);
        (!processes.any(|p| fs::read(p.path().join("cmdline")).is_ok_and(is_keeper))).then_some(())
    });
    assert_eq!(fs::read_dir(state).unwrap().count(), 0);
}

fn a_relative_state_folder_is_one() {
    let (bench, folder) = (Bench::new(RuntimeKind::Namespaces), tempfile::tempdir().unwrap());
    for arguments in [&["up"][..], &["exec", "client1", "--", "true"], &["down"]] {
        let mut command = bench.command(arguments);
        command.env("NETLAB_STATE", "here").current_dir(folder.path());
        let done = command.output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    }
    is_gone(&bench, &folder.path().join("here"));
}

fn an_interrupted_up_clears_up() {
    for moment in MOMENTS {
        let (bench, state) = (Bench::new(RuntimeKind::Namespaces), tempfile::tempdir().unwrap());
        let code = stopped_up(&bench, state.path(), moment, Signal::SIGINT);
        if code == Some(0) {
            // It was quicker than the signal.
            let down = bench.command(&["down"]).env("NETLAB_STATE", state.path()).output().unwrap();
            assert!(down.status.success(), "{}", text(&down.stderr));
        } else {
            assert_eq!(code, Some(130), "{moment}");
        }
        is_gone(&bench, state.path());
    }
}

fn what_a_killed_up_left_is_cleared() {
    for moment in MOMENTS {
        for next in ["down", "up"] {
            let (bench, state) = (Bench::new(RuntimeKind::Namespaces), tempfile::tempdir().unwrap());
            stopped_up(&bench, state.path(), moment, Signal::SIGKILL);
            for verb in [next, "down"] {
                let done = bench.command(&[verb]).env("NETLAB_STATE", state.path()).output().unwrap();
                assert!(done.status.success(), "{verb} after {moment}: {}", text(&done.stderr));
            }
            is_gone(&bench, state.path());
        }
    }
}
