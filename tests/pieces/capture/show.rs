//! `netlab capture show`, run as a command.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use assert_cmd::assert::OutputAssertExt;
use netlab::capture::{Conversations, Names, Segment, show};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::files::{Order, block, ethernet, interface, ipv4, option, packet, pcap, read, section};

const ORDER: Order = Order::Little;

fn netlab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
    command.args(["capture", "show"]).args(arguments);
    command
}

/// A file with names in which a client says hello, and someone asks who has an address.
fn hello() -> Vec<u8> {
    let names = [
        option(ORDER, 1, b"\xc6\x12\0\x03client1\0"),
        option(ORDER, 1, b"\xc6\x12\0\x02server\0"),
        option(ORDER, 0, &[]),
    ];
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 3][..], &[198, 18, 0, 3], &[0; 6], &[198, 18, 0, 2]];
    [
        section(ORDER),
        interface(ORDER, 1, 0, &[option(ORDER, 9, &[9])]),
        block(ORDER, 4, &names),
        packet(ORDER, 0, 1_000_000_000, &ethernet(0x0806, &arp.concat())),
        packet(ORDER, 0, 1_001_500_000, &ethernet(0x0800, &ipv4(b"hola\x1b[2J\n"))),
    ]
    .concat()
}

fn file(bytes: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pcapng");
    fs::write(&path, bytes).unwrap();
    (folder, path.to_str().unwrap().into())
}

#[test]
fn a_line_a_packet_and_a_table() {
    let (_folder, path) = file(&hello());
    let output = netlab(&[&path]).assert().success().get_output().stdout.clone();
    insta::assert_snapshot!(String::from_utf8(output).unwrap(), @r#"
    0.000000 ARP, Request who-has server tell client1
    0.001500 client1.40312 > server.8007: Flags [P.], seq 1:10, ack 1, win 502, length 9: "hola\u{1b}[2J\n"

    2 packets, 1 TCP conversation
      client          server        packets   bytes   handshake   close   retransmissions   RTT
    ─────────────────────────────────────────────────────────────────────────────────────────────
      client1.40312   server.8007         1      63   none        open                  0     -
    "#);
}

#[test]
fn json_is_one_object() {
    let (_folder, path) = file(&hello());
    let output = netlab(&[&path, "--json"]).assert().success().get_output().stdout.clone();
    let json: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(json["packets"], 2);
    assert_eq!(json["damage"], Value::Null);
    let conversation = &json["conversations"][0];
    for (key, value) in [
        ("client", json!("198.18.0.3:40312")),
        ("server", json!("198.18.0.2:8007")),
        ("client_name", json!("client1")),
        ("server_name", json!("server")),
        ("packets", json!(1)),
        ("bytes", json!(63)),
        ("handshake", json!(false)),
        ("opening", json!("none")),
        ("close", json!("open")),
    ] {
        assert_eq!(conversation[key], value, "{key}");
    }
}

#[test]
fn filters() {
    let (_folder, path) = file(&hello());
    let packets = |arguments: &[&str]| {
        let output = netlab(&[&[&path, "--json"], arguments].concat()).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["packets"].clone()
    };
    assert_eq!((packets(&["--port", "8007"]), packets(&["--port", "7"])), (json!(1), json!(0)));
    let output = netlab(&[&path, "--limit", "1"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("ARP") && !text.contains("Flags") && text.contains("… and 1 more"), "{text}");
    assert!(text.contains("2 packets, 1 TCP conversation\n"), "{text}");
}

#[test]
fn a_ladder_instead_of_lines() {
    let (_folder, path) = file(&hello());
    let draw = |arguments: &[&str]| {
        let output =
            netlab(&[&[&path, "--ladder"], arguments].concat()).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(draw(&[]).contains("│──────── PSH+ACK len 9 ───────▶│"), "{}", draw(&[]));
    let ascii = draw(&["--ascii"]);
    assert!(ascii.contains("|-------- PSH+ACK len 9 ------->|") && ascii.contains("1 TCP conversation"));
    assert!(draw(&["--limit", "0"]).contains("… and 1 more"));
}

#[test]
fn the_standard_input_will_do() {
    let mut child = netlab(&["-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&hello()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["packets"], 2);
}

#[test]
fn what_has_come_is_told_before_more_comes() {
    let mut child = netlab(&["-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&pcap(&[ethernet(0x0800, &ipv4(b"hola"))])).unwrap();
    // The pipe stays open, like that of a capture in progress.
    let mut first = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains(r#"length 4: "hola""#), "{first}");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn messages_name_the_standard_input_and_count_in_english() {
    let mut child = netlab(&["-", "--port", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let file = pcap(&[ethernet(0x0800, &ipv4(b"hola"))]);
    child.stdin.take().unwrap().write_all(&file[..file.len() - 1]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0 packets, 0 TCP conversations\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("standard input: damaged at byte 24, after packet 0: "), "{said}");
    assert!(said.contains("the file ends 1 byte early"), "{said}");

    let (_folder, path) = self::file(&file);
    let shown = |arguments: &[&str]| {
        let output = netlab(&[&[path.as_str()], arguments].concat()).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(shown(&[]).contains("\n1 packet, 1 TCP conversation\n"));
    assert_eq!(shown(&["--limit", "0"]), "… and 1 more\n\n1 packet, 1 TCP conversation\n");
    assert!(shown(&["--limit", "all"]).contains("198.18.0.3.40312"));
    netlab(&[&path, "--limit", "many"]).assert().code(2);
}

#[test]
fn a_broken_header_is_named() {
    let mut malformed = ethernet(0x0800, &ipv4(b"hola"));
    malformed[14] = 0x41;
    let cut = ethernet(0x86dd, &[0x60; 20]);
    let (_folder, path) = file(&pcap(&[malformed, cut, vec![1; 9]]));
    let text = String::from_utf8(netlab(&[&path]).output().unwrap().stdout).unwrap();
    for header in ["IPv4 header", "IPv6 header", "Ethernet header"] {
        assert!(text.contains(&format!(" {header} cut short or malformed, length ")), "{text}");
    }
}

#[test]
fn without_a_file_the_newest_capture() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("captures/run-1");
    fs::create_dir_all(&run).unwrap();
    netlab(&[]).current_dir(&folder).assert().code(2);
    for (name, bytes, age) in [("new.pcapng", hello(), 10), ("old.pcap", pcap(&[]), 1000)] {
        let file = fs::File::create(run.join(name)).unwrap();
        (&file).write_all(&bytes).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
    }
    fs::write(run.join("notes.txt"), "newer, but no capture").unwrap();
    let output = netlab(&["--json"]).current_dir(&folder).assert().success().get_output().stdout.clone();
    assert_eq!(serde_json::from_slice::<Value>(&output).unwrap()["packets"], 2);
}

#[test]
fn a_damaged_file_shows_what_it_has_and_exits_2() {
    let bytes = hello();
    let (_folder, path) = file(&bytes[..bytes.len() - 3]);
    let output = netlab(&[&path, "--json"]).assert().code(2).get_output().clone();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["packets"], &json["damage"]["packets"]), (&json!(1), &json!(1)));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("x.pcapng: damaged at byte") && error.contains("3 bytes early"), "{error}");
}

#[test]
fn what_is_no_capture_exits_2() {
    let (folder, path) = file(b"#!/bin/sh\n");
    let said =
        |path: &str| String::from_utf8(netlab(&[path]).assert().code(2).get_output().stderr.clone()).unwrap();
    assert!(said(&path).contains("x.pcapng is not a capture: it starts with 23 21 2f 62"));
    assert!(said("nowhere.pcap").contains("cannot open nowhere.pcap: No such file"));
    assert!(said(folder.path().to_str().unwrap()).contains("is a folder"));
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let (_folder, path) = file(&pcap(&vec![ethernet(0x0800, &ipv4(b"hola")); 20_000]));
    let mut child = netlab(&[&path]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    // Dropping the reader closes the pipe, as `| head -1` does.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("0.000000 198.18.0.3.40312 > 198.18.0.2.8007: Flags [P.]"), "{first}");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn lines_say_what_a_segment_was() {
    let names: Names = [([198, 18, 0, 3], "client1"), ([198, 18, 0, 2], "server")].into_iter().collect();
    let segment = read(&pcap(&[ethernet(0x0800, &ipv4(b"hola"))])[..]).segments.remove(0);
    let mut conversations = Conversations::new();
    let mut tell = |segment: &Segment<'_>| show::line(segment, &conversations.push(segment), &names);
    let line = r#"client1.40312 > server.8007: Flags [P.], seq 1:5, ack 1, win 502, length 4: "hola""#;
    assert_eq!(tell(&segment), line);
    assert_eq!(tell(&segment), format!("{line} [retransmission]"));
}
