//! Captures of every kind of link, tunnel and conversation: netlab and tshark must agree on them.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use netlab::capture::{Conversations, Decoder, Names, Reader};

use super::{
    files::{Order, interface, packet, section},
    talks::{self, Talk},
    tshark::has_tshark,
    wraps::{WRAPS, in_pieces},
};

const ORDER: Order = Order::Little;

/// Kinds that tshark 4.0 does not decode: it recognises pseudowires by the makers of network cards, and lacks one link
/// type.
const UNREAD: [&str; 2] = ["pseudowire", "mpls alone"];

/// What is compared of a connection, identified by its client's port: packets, bytes, and how many of the packets
/// were retransmissions, out of order, keepalives.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    packets: u64,
    bytes: u64,
    again: u64,
    late: u64,
    keepalives: u64,
}

/// Connections by their client's port, one after another.
type All = BTreeMap<u16, Vec<Told>>;

/// Lines of some fields of each packet that tshark shows.
fn fields(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-T", "fields", "-E", "separator=,", "-E", "occurrence=l", "-Y", filter, "-r"])
        .arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn by_tshark(file: &Path) -> All {
    let analysis =
        ["retransmission", "out_of_order", "keep_alive"].map(|flag| format!("tcp.analysis.{flag}"));
    let names = ["tcp.stream", "frame.len", "tcp.srcport", "tcp.dstport"];
    let names: Vec<_> = names.into_iter().chain(analysis.iter().map(String::as_str)).collect();
    let mut streams: BTreeMap<u64, (u16, Told)> = BTreeMap::new();
    for line in fields(file, "tcp.urgent_pointer", &names) {
        let ports: [u16; 2] = [&line[2], &line[3]].map(|port| port.parse().unwrap());
        let entry = streams.entry(line[0].parse().unwrap());
        let (_, told) = entry.or_insert_with(|| (ports[0].max(ports[1]), Told::default()));
        told.packets += 1;
        told.bytes += line[1].parse::<u64>().unwrap();
        let [again, late, keepalive] = [&line[4], &line[5], &line[6]].map(|flag| u64::from(!flag.is_empty()));
        told.again += again;
        told.late += late;
        told.keepalives += keepalive;
    }
    let mut all = All::new();
    for (port, told) in streams.into_values() {
        all.entry(port).or_default().push(told);
    }
    all
}

fn by_netlab(file: &Path) -> All {
    let mut reader = Reader::open(file).unwrap();
    let (mut decoder, mut conversations) = (Decoder::through_tunnels(), Conversations::new());
    while let Some(frame) = reader.next(&mut Names::default()) {
        if let Some(segment) = decoder.segment(&frame) {
            conversations.push(&segment);
        }
    }
    assert_eq!(reader.damage(), None);
    let mut all = All::new();
    for c in conversations.iter() {
        let flows = [&c.to_server, &c.to_client];
        all.entry(c.client.port()).or_default().push(Told {
            packets: c.packets,
            bytes: c.bytes,
            again: c.retransmissions,
            late: flows.iter().map(|flow| flow.out_of_order).sum(),
            keepalives: flows.iter().map(|flow| flow.keepalives).sum(),
        });
    }
    all
}

/// A connection's number in the file, as its client's port.
fn port(number: usize) -> u16 {
    u16::try_from(20_000 + number).unwrap()
}

/// Every conversation in every kind of frame, in one file: one interface per kind, one client's port per conversation.
/// Frames are cut by this many bytes, but never into the TCP header.
fn file(cut: usize) -> (Vec<u8>, Vec<String>) {
    let talks = talks::all();
    let mut file = section(ORDER);
    for (_, link, _) in WRAPS {
        file.extend(interface(ORDER, *link, 0, &[]));
    }
    let mut names = Vec::new();
    for (kind, (wrap, _, make)) in WRAPS.iter().enumerate() {
        for Talk { name, .. } in &talks {
            names.push(format!("{name} in {wrap}"));
        }
        for (n, talk) in talks.iter().enumerate() {
            let number = kind * talks.len() + n;
            for ((at, packet), row) in talks::packets(talk, port(number), n % 3 == 1).iter().zip(&talk.rows) {
                let frame = make(packet);
                let captured = frame.len() - cut.min(row.5 as usize);
                file.extend(self::packet_of(kind, *at, &frame, captured));
            }
        }
    }
    (file, names)
}

/// A packet that was not captured in full.
fn packet_of(interface: usize, at: u64, frame: &[u8], captured: usize) -> Vec<u8> {
    let mut block = packet(ORDER, u32::try_from(interface).unwrap(), at, &frame[..captured]);
    block[24..28].copy_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
    block
}

#[test]
fn tshark_tells_the_same_of_every_kind() {
    if !has_tshark() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kinds.pcapng");
    for cut in [0, 4] {
        let (bytes, names) = file(cut);
        fs::write(&path, bytes).unwrap();
        let (ours, theirs) = (by_netlab(&path), by_tshark(&path));
        let mut differ = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let [ours, theirs] = [&ours, &theirs].map(|all| all.get(&port(number)));
            let unread = theirs.is_none() && UNREAD.iter().any(|wrap| name.ends_with(wrap));
            if ours != theirs && !unread {
                differ.push(format!("{name}: {ours:?}, tshark {theirs:?}"));
            }
        }
        assert!(differ.is_empty(), "{cut} bytes cut: {differ:#?}");
        assert_eq!(ours.len(), names.len());
    }
}

#[test]
fn tshark_joins_the_pieces_of_a_tunnel_too() {
    if !has_tshark() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pieces.pcapng");
    let mut file = [section(ORDER), interface(ORDER, 1, 0, &[])].concat();
    for (id, (at, whole)) in talks::packets(&talks::all()[0], port(0), false).iter().enumerate() {
        for piece in in_pieces(whole, u8::try_from(id + 1).unwrap()) {
            file.extend(packet(ORDER, 0, *at, &piece));
        }
    }
    fs::write(&path, file).unwrap();
    let ours = by_netlab(&path);
    assert_eq!(ours[&port(0)][0].packets, 9);
    assert_eq!(ours, by_tshark(&path));
}

#[test]
fn tshark_reads_as_far_as_netlab() {
    if !has_tshark() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pcapng");
    let (whole, _) = file(0);
    let lies = |at: usize, byte: u8| {
        let mut file = whole[..at + 600].to_vec();
        file[at] = byte;
        file
    };
    // The start of a packet's block, near the middle.
    let mut block = 0;
    while block < whole.len() / 2 {
        block += u32::from_le_bytes(*whole[block + 4..].first_chunk().unwrap()) as usize;
    }
    let damaged = [
        whole[..block + 50].to_vec(),
        whole[..block + 9].to_vec(),
        lies(block + 4, 0xf1),
        lies(block + 7, 0xff),
        // More was captured than the block has.
        lies(block + 21, 0x40),
        // Of an interface that is not described.
        lies(block + 8, 0xee),
    ];
    for (n, bytes) in damaged.iter().enumerate() {
        fs::write(&path, bytes).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        while reader.next(&mut Names::default()).is_some() {}
        assert!(reader.damage().is_some(), "damage {n}");
        let theirs = fields(&path, "frame", &["frame.number"]).len();
        assert_eq!(reader.packets(), theirs as u64, "damage {n}: {:?}", reader.damage());
    }
}
