//! `capture start`, `stop`, `list`, `show` and `follow`.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

use crate::bench::{Bench, Running, eventually, text};

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
    // What has passed until then is in it, to the last packet.
    let stopped = bench.json(&["capture", "stop", "one", "--captures", captures, "--json"]);
    assert_eq!(stopped["stopped"][0], file.as_str());
    let list = bench.json(&["capture", "list", "--captures", captures, "--json"]);
    assert_eq!(list[0]["recording"], false);
    let said = bench.fails(2, &["capture", "stop", "one", "--captures", captures]);
    assert!(said.contains("nothing records to one.pcapng"), "{said}");

    let shown = bench.json(&["capture", "show", &file, "--json"]);
    assert!(shown["packets"].as_u64().unwrap() >= 7);
    let conversations = shown["conversations"].as_array().unwrap();
    let mine = conversations.iter().find(|c| c["server"].as_str().unwrap().ends_with(":8007")).unwrap();
    assert_eq!((&mine["handshake"], &mine["close"]), (&true.into(), &"fin".into()), "{mine}");
    let lines = bench.runs(&["capture", "show", &file]);
    assert!(lines.contains("client1.") && lines.contains("server.8007"), "{lines}");
    bench.runs(&["capture", "show", &file, "--ladder", "--ascii"]);
}

/// What a tool makes of a capture on its standard input; none where it is not installed.
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
    let recording =
        || bench.json(&["capture", "list", "--captures", captures, "--json"])[0]["recording"] == false;
    eventually("that it records no more", || recording().then_some(()));
    let shown = bench.json(&["capture", "show", &file, "--json"]);
    assert!(shown["packets"].as_u64().unwrap() > 0 && shown["damage"].is_null(), "{shown}");
}

pub fn a_full_disk_is_told(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("full.pcapng");
    let mut command = Command::new("unshare");
    command.args(if geteuid().is_root() {
        &["--mount"][..]
    } else {
        &["--user", "--map-root-user", "--mount"]
    });
    let follow = bench.command(&["capture", "follow", "-w", file.to_str().unwrap()]);
    command.args(["sh", "-c", "mount -t tmpfs -o size=64k tmpfs \"$0\" && exec \"$@\""]).arg(folder.path());
    command.arg(follow.get_program()).args(follow.get_args());
    command.envs(follow.get_envs().filter_map(|(name, value)| Some((name, value?))));
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
