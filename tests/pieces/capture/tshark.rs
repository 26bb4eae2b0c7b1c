//! Reading the same file, tshark must find the same connections.

use std::{
    collections::BTreeMap,
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    files::{Order, ethernet, ipv4, ipv6, len, pcap_header, pcap_record},
    fragments::{pieces_v4, pieces_v6},
};
use crate::support::skip::skipped;
use netlab::capture::{Conversations, Decoder, Names, Reader};

#[path = "../../../benches/capture_load.rs"]
#[allow(dead_code, reason = "its main writes to the standard output")]
mod capture_load;

/// Addresses, ports, packets, bytes.
type Row = (String, u64, u64);

/// Connections by tshark's number of them, which is the order in which they began.
fn by_tshark(file: &Path) -> Vec<Row> {
    let fields =
        ["tcp.stream", "frame.len", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport"];
    let mut command = Command::new("tshark");
    // Its own table of conversations leaves out headers that are cut before their last field.
    command.args(["-T", "fields", "-Y", "tcp.urgent_pointer", "-E", "separator=,", "-r"]).arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success());
    let mut streams: BTreeMap<u64, Row> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let [stream, len, rest @ ..] = &line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        // Who sent the first packet comes first.
        let row = streams.entry(stream.parse().unwrap()).or_insert_with(|| (rest.join(","), 0, 0));
        row.1 += 1;
        row.2 += len.parse::<u64>().unwrap();
    }
    streams.into_values().collect()
}

fn by_netlab(file: &Path) -> Vec<Row> {
    let mut reader = Reader::open(file).unwrap();
    let (mut decoder, mut conversations) = (Decoder::new(), Conversations::new());
    while let Some(frame) = reader.next(&mut Names::default()) {
        if let Some(segment) = decoder.segment(&frame) {
            conversations.push(&segment);
        }
    }
    assert_eq!(reader.damage(), None);
    let row = |c: netlab::capture::Conversation| {
        let end = |end: std::net::SocketAddr| match end {
            std::net::SocketAddr::V4(end) => format!("{},,{}", end.ip(), end.port()),
            std::net::SocketAddr::V6(end) => format!(",{},{}", end.ip(), end.port()),
        };
        (format!("{},{}", end(c.client), end(c.server)), c.packets, c.bytes)
    };
    conversations.iter().map(row).collect()
}

/// Returns whether tshark is installed.
pub fn has_tshark() -> bool {
    let found = Command::new("tshark").arg("--version").output().is_ok();
    if !found {
        skipped("there is no tshark here");
    }
    found
}

#[test]
fn tshark_counts_the_same() {
    if !has_tshark() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.pcapng");
    capture_load::write(&mut File::create(&path).unwrap(), 40_000).unwrap();
    let (ours, theirs) = (by_netlab(&path), by_tshark(&path));
    assert!(theirs.len() > 900, "only {} connections, so no ports were used again", theirs.len());
    assert_eq!(ours, theirs);
}

#[test]
fn tshark_counts_the_same_of_pieces_and_cut_packets() {
    if !has_tshark() {
        return;
    }
    let mut v4 = pieces_v4(&ipv4(&[b'x'; 200]), 64, 1);
    v4.reverse();
    let lone = pieces_v4(&ipv4(&[b'x'; 200]), 64, 2).swap_remove(0);
    let v6 = pieces_v6(&ipv6(&[b'x'; 200]), 64);
    let mut whole: Vec<_> = v4.iter().chain([&lone]).map(|piece| ethernet(0x0800, piece)).collect();
    whole.extend(v6.iter().map(|piece| ethernet(0x86dd, piece)));
    whole.push(ethernet(0x0800, &ipv4(b"hola")));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pieces.pcap");
    for snaplen in [53, 54, 82, 500] {
        let record = |packet: &Vec<u8>| {
            let captured = &packet[..snaplen.min(packet.len())];
            let mut record = pcap_record(Order::Big, 0, &[], captured);
            record[12..16].copy_from_slice(&len(packet).to_be_bytes());
            record
        };
        // Of fragments that are cut, tshark shows the first one's ports only over IPv4; we do so over both.
        let compared = whole.iter().filter(|packet| packet[12] != 0x86 || snaplen >= packet.len());
        let records: Vec<_> = compared.map(record).collect();
        let file = [vec![pcap_header(Order::Big, 0xa1b2_c3d4, 1)], records].concat().concat();
        std::fs::write(&path, file).unwrap();
        assert_eq!(by_netlab(&path), by_tshark(&path), "packets cut at {snaplen} bytes");
    }
}
