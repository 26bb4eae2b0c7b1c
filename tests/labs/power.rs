//! Hosts that lose power and links that are cut, by hand and by an exercise.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use crate::support::{self, Lab, trials::On};
use libtest_mimic::Trial;
use serde_json::Value;

type Case = fn(&Lab);

const CASES: &[(&str, Case)] = &[
    ("a_host_is_stopped_and_started_by_hand", a_host_is_stopped_and_started_by_hand),
    ("what_an_exercise_cuts_is_mended", what_an_exercise_cuts_is_mended),
    ("crash_fails_where_nothing_is_cut", crash_fails_where_nothing_is_cut),
    ("a_host_that_somebody_starts_fails_nothing", a_host_that_somebody_starts_fails_nothing),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for on in On::each("power") {
        let kind = on.kind;
        let alone = |(name, case): &(&str, Case)| {
            let case = *case;
            on.trial(name, move || case(&Lab::up(kind, support::ROOM)))
        };
        trials.extend(CASES.iter().map(alone));
        trials.push(on.trial("links_of_strangers_hosts_are_cut_from_outside", move || {
            links_of_strangers_hosts_are_cut_from_outside(&Lab::of_strangers(kind, support::ROOM));
        }));
    }
    trials
}

/// Runs netlab on the lab; returns its exit code, output and error output.
fn netlab(lab: &Lab, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
    command.args(arguments).env("NETLAB_LAB", &lab.name);
    command.env("NETLAB_RUNTIME", lab.runtime.kind().to_string());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Nobody on such a host may change its links; netlab does it from outside.
fn links_of_strangers_hosts_are_cut_from_outside(lab: &Lab) {
    let reaches = || netlab(lab, &["exec", "client1", "--", "tcpecho", "server", "8007"]).0 == 0;
    assert!(reaches());
    let own = netlab(lab, &["exec", "client1", "--", "ip", "link", "set", "dev", "eth0", "down"]);
    assert!(own.0 != 0 && own.2.contains("not permitted"), "{own:?}");
    let (code, _, err) = netlab(lab, &["link", "client1", "--down"]);
    assert_eq!(code, 0, "{err}");
    assert!(!reaches());
    let (code, _, err) = netlab(lab, &["link", "client1", "--up"]);
    assert_eq!(code, 0, "{err}");
    assert!(reaches());
}

fn a_host_is_stopped_and_started_by_hand(lab: &Lab) {
    let (code, out, err) = netlab(lab, &["host", "server", "--stop", "--json"]);
    assert_eq!((code, out.trim()), (0, r#"{"host":"server","state":"stopped"}"#), "{err}");
    let (code, out, _) = netlab(lab, &["status"]);
    assert_eq!(code, 3, "the lab is not whole");
    assert!(out.lines().any(|line| line.starts_with("server") && line.contains("stopped")), "{out}");
    let (code, _, err) = netlab(lab, &["exec", "server", "--", "true"]);
    let fix = format!("netlab host --lab {} server --start", lab.name);
    assert!(code == 3 && err.contains(&fix), "{code}: {err}");
    let (code, _, err) = netlab(lab, &["logs", "server"]);
    assert_eq!(code, 0, "its output is still there: {err}");

    let (code, out, err) = netlab(lab, &["host", "server", "--start"]);
    assert_eq!((code, out.as_str()), (0, "server: running\n"), "{err}");
    assert_eq!(netlab(lab, &["status"]).0, 0);
    let boot = ["exec", "server", "--", "cat", "/tmp/boot"];
    assert_eq!(netlab(lab, &["exec", "server", "--", "touch", "/tmp/boot"]).0, 0);
    assert_eq!(netlab(lab, &boot).0, 0);
    assert_eq!(netlab(lab, &["host", "server", "--reboot"]).0, 0);
    assert_eq!(netlab(lab, &boot).0, 1, "nothing from before is left");

    let (code, _, err) = netlab(lab, &["host", "serve", "--stop"]);
    assert!(code == 2 && err.contains("did you mean server?"), "{code}: {err}");
    assert_eq!(netlab(lab, &["host", "server"]).0, 2, "an action is required");
    assert_eq!(netlab(lab, &["host", "server", "--stop", "--start"]).0, 2);
}

/// Runs the exercise; returns its exit code and its checks' verdicts by id.
fn crash(lab: &Lab, more: &[&str]) -> (i32, Vec<(String, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().to_str().unwrap();
    let arguments = [&["exercise", "crash", "--json", "--captures", captures], more].concat();
    let (code, out, err) = netlab(lab, &arguments);
    let outcome: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}\n{err}"));
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let checks = outcome["checks"].as_array().unwrap().iter();
    (code, checks.map(|check| (text(check, "id"), text(check, "verdict"))).collect())
}

/// The exercise with parts of its text replaced, in a separate folder.
fn altered(replacements: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut text = include_str!("../../exercises/crash.yaml").to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(folder.path().join("crash.yaml"), text).unwrap();
    folder
}

/// An exercise that cannot be continued, because the host that it needs has no power.
fn what_an_exercise_cuts_is_mended(lab: &Lab) {
    let folder = altered(&[
        ("power: {host: server, state: up}", "look: still-dark"),
        ("within_ms: 20000", "within_ms: 100"),
        (
            "type: seven\n    to: d\n    wait: {program: {name: d, ended: any}}\n    within_ms: 15000",
            "look: later",
        ),
    ]);
    let path = folder.path().to_str().unwrap();
    let (code, _, err) = netlab(lab, &["exercise", "crash", "--exercises", path, "--captures", path]);
    assert_eq!(code, 3, "{err}");
    let state = support::block_on(lab.runtime.lab(&lab.name)).unwrap().unwrap();
    assert!(state.is_whole(), "{:?}", state.hosts);
}

/// While the exercise has cut a host's power, somebody restores it.
fn a_host_that_somebody_starts_fails_nothing(lab: &Lab) {
    // It stays without power for ten seconds.
    let waits = "{from: client1, count: 1, close: open, retransmissions: {min: 2}}";
    let folder = altered(&[(waits, &waits.replace("min: 2", "min: 200"))]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
    command.args(["exercise", "crash", "--captures"]).arg(folder.path()).env("NETLAB_LAB", &lab.name);
    command.arg("--exercises").arg(folder.path());
    command.env("NETLAB_RUNTIME", lab.runtime.kind().to_string());
    let mut exercise = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(exercise.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("its power is cut")), "the server has no power");
    support::block_on(lab.runtime.start_host(&lab.name, "server")).unwrap();
    let told = said.collect::<Vec<_>>().join("\n");
    assert_eq!(exercise.wait().unwrap().code(), Some(3), "{told}");
    assert!(told.contains("host server was started meanwhile") && !told.contains("fail "), "{told}");
}

/// The exercise without any cut, in which the server is merely killed: each check that relies on a cut must
/// notice.
fn crash_fails_where_nothing_is_cut(lab: &Lab) {
    let folder = altered(&[
        ("power: {host: server, state: down}", "signal: KILL\n    to: server.group"),
        ("link: {host: server, state: down}", "look: not-cut"),
        ("link: {host: client2, state: down}", "look: not-cut-either"),
        ("within_ms: 10000", "within_ms: 1500"),
    ]);
    let (code, checks) = crash(lab, &["--exercises", folder.path().to_str().unwrap()]);
    let failed: Vec<_> = checks.iter().filter(|(_, verdict)| verdict == "fail").map(|(id, _)| id).collect();
    let expected = [
        "link-cut-tells-nobody",
        "half-open-unnoticed",
        "host-gone-silent",
        "host-gone-syn-unanswered",
        "host-rebooted-resets",
    ];
    assert_eq!(code, 1, "{checks:#?}");
    assert!(expected.iter().all(|id| failed.iter().any(|f| f == id)), "{failed:?}");
}
