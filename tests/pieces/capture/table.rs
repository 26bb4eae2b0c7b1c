//! The table of conversations, and how much memory it takes.

use std::{fs, process::Command};

use netlab::capture::{Conversations, Names, Segment, Side, table};

use super::{
    conversations::{opened, segment},
    files::{ethernet, ipv4, pcap},
};

fn written(conversations: &Conversations, most: usize) -> String {
    let names: Names = [([198, 18, 0, 3], "client1"), ([198, 18, 0, 2], "服务器")].into_iter().collect();
    let mut out = Vec::new();
    table::write(&mut out, conversations, &names, most).unwrap();
    String::from_utf8(out).unwrap()
}

/// One connection from each of this many ports.
fn asked(count: u16) -> Conversations {
    let mut conversations = Conversations::new();
    for port in 0..count {
        let mut syn = segment((Side::Client, "SYN", 100, 0, 0), port.into());
        syn.src.set_port(10_000 + port);
        conversations.push(&syn);
    }
    conversations
}

#[test]
fn columns_are_as_wide_as_what_is_in_them() {
    insta::assert_snapshot!(written(&asked(2), 9), @r"
      client          server        packets   bytes   handshake   close   retransmissions   RTT
    ─────────────────────────────────────────────────────────────────────────────────────────────
      client1.10000   服务器.8007         1      54   partial     open                  0     -
      client1.10001   服务器.8007         1      54   partial     open                  0     -
    ");
}

#[test]
fn a_table_ends_where_it_is_to_and_says_so() {
    let table = written(&asked(50), 3);
    assert_eq!((table.lines().count(), table.lines().last()), (6, Some("… and 47 more")));
    assert!(!written(&asked(3), 3).contains('…'));
}

#[test]
fn what_came_out_of_order_has_a_column_where_there_is_any() {
    let mut conversations = Conversations::new();
    let rows = opened(&[(Side::Client, "ACK", 111, 901, 10), (Side::Client, "ACK", 101, 901, 10)]);
    for (n, row) in rows.into_iter().enumerate() {
        assert!(!written(&conversations, 9).contains("out of order"));
        conversations.push(&Segment { at: n as u64, ..segment(row, n) });
    }
    let table = written(&conversations, 9);
    assert!(table.lines().next().unwrap().ends_with("retransmissions   out of order        RTT"), "{table}");
    assert!(table.lines().last().unwrap().ends_with("0              1   0.000 ms"), "{table}");
}

/// A SYN from each of a hundred thousand ends: a file of 7 MB.
#[test]
fn a_flood_of_connections_is_shown_in_little_memory() {
    const MOST_KIB: u32 = 96 << 10;
    let mut syn = ethernet(0x0800, &ipv4(b""));
    syn[47] = 2;
    let asks = |n: u32| {
        let [_, host, p1, p2] = n.to_be_bytes();
        syn[28] = host;
        syn[34..36].copy_from_slice(&[p1, p2]);
        syn.clone()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flood.pcap");
    fs::write(&path, pcap(&(0..100_000).map(asks).collect::<Vec<_>>())).unwrap();
    // One line per packet and one row per connection; between them an empty line, the counts, and the table's heading.
    let cases = [("--json", 1), ("--limit all", 200_004), ("--limit 100", 206)];
    for (arguments, lines) in cases {
        let script = format!("ulimit -v {MOST_KIB} && exec \"$0\" capture show \"$1\" {arguments}");
        let netlab = env!("CARGO_BIN_EXE_netlab");
        let output = Command::new("sh").args(["-c", &script, netlab]).arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), lines, "{arguments}");
    }
}
