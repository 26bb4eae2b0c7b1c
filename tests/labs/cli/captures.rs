//! `capture start`, `stop`, `list`, `show` and `follow`.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
};

use netlab::capture::Ending;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use serde_json::Value;

use super::bench::{Bench, Running, eventually, text};
use super::exercises::Own;

/// A line goes from client1 to the server and back.
fn say(bench: &Bench, line: &str) {
    let client = bench.command(&["exec", "client1", "--", "tcpecho", "server", "8007"]);
    let said = assert_cmd::Command::from_std(client).write_stdin(format!("{line}\n")).assert().success();
    assert!(text(&said.get_output().stdout).contains(line));
}

fn holds(bytes: &[u8], line: &str) -> bool {
    bytes.windows(line.len()).any(|window| window == line.as_bytes())
}

fn start(bench: &Bench, folder: &Path) -> String {
    let folder = folder.to_str().unwrap();
    let started = bench.json(&["capture", "start", "one", "--captures", folder, "--json"]);
    started["capture"].as_str().unwrap().to_owned()
}

pub fn started_listed_stopped_and_shown(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().to_str().unwrap();
    let file = start(bench, folder.path());
    let list = bench.json(&["capture", "list", "--captures", captures, "--json"]);
    assert_eq!((&list[0]["capture"], &list[0]["recording"]), (&file.as_str().into(), &true.into()));
    say(bench, "recorded");
    // Everything that passed before is in it, to the last packet.
    let stopped = bench.json(&["capture", "stop", "one", "--captures", captures, "--json"]);
    assert_eq!(stopped["stopped"][0], file.as_str());
    let list = bench.json(&["capture", "list", "--captures", captures, "--json"]);
    assert_eq!(list[0]["recording"], false);
    assert_eq!((&list[0]["dropped"], &list[0]["ended_early"]), (&0.into(), &Value::Null));
    assert_eq!(fs::read_dir(captures).unwrap().count(), 1, "the capture and nothing beside it");
    let said = bench.fails(2, &["capture", "stop", "one", "--captures", captures]);
    assert!(said.contains("nothing is recording to one.pcapng"), "{said}");

    let shown = bench.json(&["capture", "show", &file, "--json"]);
    assert!(shown["packets"].as_u64().unwrap() >= 7 && shown["dropped"] == 0);
    let conversations = shown["conversations"].as_array().unwrap();
    let mine = conversations.iter().find(|c| c["server"].as_str().unwrap().ends_with(":8007")).unwrap();
    assert_eq!((&mine["handshake"], &mine["close"]), (&true.into(), &"fin".into()), "{mine}");
    let lines = bench.runs(&["capture", "show", &file]);
    assert!(lines.contains("client1.") && lines.contains("server.8007"), "{lines}");
    bench.runs(&["capture", "show", &file, "--ladder", "--ascii"]);
}

/// Returns what a tool prints about a capture on its standard input; `None` if it is not installed.
fn reads(tool: &[&str], capture: &[u8]) -> Option<String> {
    let mut command = Command::new(tool[0]);
    command.args(&tool[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running(command.spawn().ok()?);
    running.0.stdin.take().unwrap().write_all(capture).unwrap();
    let (code, out, _) = running.finish();
    assert_eq!(code, Some(0), "{tool:?}");
    Some(text(&out))
}

pub fn followed_is_read_by_tools(bench: &Bench) {
    let mut follow = bench.start(&["capture", "follow", "-w", "-"]);
    let mut capture = vec![0; 4];
    let stdout = follow.0.stdout.as_mut().unwrap();
    stdout.read_exact(&mut capture).unwrap();
    assert_eq!(capture, [0x0a, 0x0d, 0x0d, 0x0a], "a section header, once it watches");
    say(bench, "followed");
    while !holds(&capture, "followed") {
        let mut more = [0; 4096];
        let n = stdout.read(&mut more).unwrap();
        assert!(n > 0, "it ended");
        capture.extend_from_slice(&more[..n]);
    }
    follow.signal(Signal::SIGINT);
    let (code, rest, err) = follow.finish();
    assert_eq!(code, Some(0), "{err}");
    capture.extend(rest);
    let tools = [&["tcpdump", "-n", "-r", "-"][..], &["tshark", "-n", "-r", "-"]];
    let read: Vec<_> = tools.iter().filter_map(|tool| reads(tool, &capture)).collect();
    assert!(!read.is_empty(), "neither tcpdump nor tshark is installed");
    assert!(read.iter().all(|text| text.contains("8007")), "{read:?}");
}

pub fn a_killed_recorder_leaves_a_readable_file(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().to_str().unwrap();
    let file = start(bench, folder.path());
    say(bench, "before the end");
    eventually("the line in the file", || holds(&fs::read(&file).unwrap(), "before the end").then_some(()));
    let list = bench.runs(&["capture", "list", "--captures", captures]);
    let pid = list.split_once("recording (pid ").and_then(|(_, rest)| rest.split_once(')')).unwrap().0;
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    let listed = || bench.run(&["capture", "list", "--captures", captures, "--json"]).get_output().clone();
    let list = eventually("that it records no more", || {
        let output = listed();
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        (list[0]["recording"] == false).then_some((list, output.status.code()))
    });
    assert_eq!((&list.0[0]["ended_early"], list.1), (&"its recorder was killed".into(), Some(3)));
    let said = bench.fails(3, &["capture", "stop", "--captures", captures]);
    assert!(said.contains("one.pcapng ended early: its recorder was killed"), "{said}");
    // Reported once.
    assert!(bench.runs(&["capture", "stop", "--captures", captures]).contains("nothing was being recorded"));
    let shown = bench.json(&["capture", "show", &file, "--json"]);
    assert!(shown["packets"].as_u64().unwrap() > 0 && shown["damage"].is_null(), "{shown}");
}

/// Neither the signal nor the final check may come between the steps of a recording.
pub fn a_stop_at_once_is_no_early_end(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().to_str().unwrap();
    for number in 0..12 {
        bench.runs(&["capture", "start", &number.to_string(), "--captures", captures]);
        let stopped = bench.json(&["capture", "stop", "--captures", captures, "--json"]);
        assert_eq!(stopped["stopped"].as_array().map(Vec::len), Some(1), "{number}: {stopped}");
    }
}

/// As many packets as came are recorded, or the difference is reported.
pub fn every_packet_is_recorded_or_counted(bench: Bench) {
    let own = Own::up(bench);
    let bench = &own.0;
    let folder = tempfile::tempdir().unwrap();
    let file = start(bench, folder.path());
    let flood = "exec 3<>/dev/tcp/server/8007; cat <&3 >/dev/null & seq 1000000 >&3; kill $!";
    bench.runs(&["exec", "client1", "--", "bash", "-c", flood]);
    bench.runs(&["capture", "stop", "--captures", folder.path().to_str().unwrap()]);
    let shown = bench.json(&["capture", "show", &file, "--json"]);
    let ending = Ending::of(Path::new(&file)).expect("statistics");
    let packets = shown["packets"].as_u64().unwrap();
    assert!(packets > 1000, "{packets}");
    assert_eq!(packets + ending.counts.dropped, ending.counts.received, "{shown}");
}

/// Ending with the lab is not ending early.
pub fn a_recording_ends_with_its_lab(bench: Bench) {
    let own = Own::up(bench);
    let bench = &own.0;
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().to_str().unwrap();
    start(bench, folder.path());
    bench.runs(&["down"]);
    let list = eventually("that it records no more", || {
        let list = bench.json(&["capture", "list", "--captures", captures, "--json"]);
        (list[0]["recording"] == false).then_some(list)
    });
    assert_eq!(list[0]["ended_early"], Value::Null);
    assert!(bench.runs(&["capture", "stop", "--captures", captures]).contains("nothing was being recorded"));
}

pub fn a_recording_that_filled_the_disk_says_so(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=256k tmpfs "$0" && "$1" capture start one --captures "$0" || exit 90
        until "$1" capture list --captures "$0" --json | grep -q '"recording":false'; do
            seq 4000 | "$1" exec client1 -- tcpecho server 8007 >/dev/null
        done
        "$1" capture stop --captures "$0""#;
    let netlab = bench.command(&[]);
    let output = small_disk(bench, &["sh", "-c", script, folder.path().to_str().unwrap()])
        .arg(netlab.get_program())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let told = said.lines().rfind(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(told.contains("one.pcapng ended early: ") && told.contains("No space left on device"), "{said}");
}

/// A command that may mount.
fn small_disk(bench: &Bench, argv: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(if geteuid().is_root() {
        &["--mount"][..]
    } else {
        &["--user", "--map-root-user", "--mount"]
    });
    let netlab = bench.command(&[]);
    command.envs(netlab.get_envs().filter_map(|(name, value)| Some((name, value?)))).args(argv);
    command
}

pub fn a_full_disk_is_told(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("full.pcapng");
    let follow = bench.command(&["capture", "follow", "-w", file.to_str().unwrap()]);
    let script = "mount -t tmpfs -o size=64k tmpfs \"$0\" && exec \"$@\"";
    let mut command = small_disk(bench, &["sh", "-c", script, folder.path().to_str().unwrap()]);
    command.arg(follow.get_program()).args(follow.get_args());
    let running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = Running(running.unwrap());
    let line = "x".repeat(20_000);
    eventually("the end of the full disk's capture", || {
        say(bench, &line);
        running.0.try_wait().unwrap()
    });
    let (code, _, said) = running.finish();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("full.pcapng") && said.contains("No space left on device"), "{said}");
}
