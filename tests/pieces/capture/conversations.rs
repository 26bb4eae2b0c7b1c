//! TCP connections from segments, each with a known answer.

use std::net::SocketAddr;

use netlab::capture::{
    Close, Conversation, Conversations, Flags, Handshake, Segment, SeqAnalysis, Side, Step,
};

const CLIENT: &str = "198.18.0.3:40312";
const SERVER: &str = "198.18.0.2:8007";
const HEADERS: u32 = 14 + 20 + 20;

/// One TCP segment: sender, flags, sequence and acknowledgment numbers, bytes of data.
pub type Row = (Side, &'static str, u32, u32, u32);
use SeqAnalysis::{New, OutOfOrder, Retransmission as Again};
use Side::{Client as C, Server as S};

/// The segment of a row, 1 ms after the one before.
pub fn segment((by, flags, seq, ack, len): Row, nth: usize) -> Segment<'static> {
    let [client, server]: [SocketAddr; 2] = [CLIENT, SERVER].map(|a| a.parse().unwrap());
    let (src, dst) = if by == C { (client, server) } else { (server, client) };
    Segment {
        at: 1_000_000 * nth as u64,
        interface: 0,
        tunnels: 0,
        src,
        dst,
        flags: flags.parse().unwrap(),
        seq,
        ack,
        window: 502,
        frame_len: HEADERS + len,
        len,
        payload: vec![b'x'; len as usize].into(),
    }
}

fn all(rows: &[Row]) -> (Vec<Conversation>, Vec<SeqAnalysis>) {
    let mut conversations = Conversations::new();
    let novelties =
        rows.iter().enumerate().map(|(n, row)| conversations.push(&segment(*row, n)).analysis).collect();
    (conversations.iter().collect(), novelties)
}

/// The only connection of these segments.
fn one(rows: &[Row]) -> Conversation {
    let (mut all, _) = all(rows);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn steps(steps: &[(Side, &str)]) -> Vec<Step> {
    steps.iter().map(|(by, flags)| Step { by: *by, flags: flags.parse().unwrap() }).collect()
}

const HANDSHAKE: [Row; 3] = [(C, "SYN", 100, 0, 0), (S, "SYN+ACK", 900, 101, 0), (C, "ACK", 101, 901, 0)];

/// A handshake, then these.
pub fn opened(rest: &[Row]) -> Vec<Row> {
    [&HANDSHAKE, rest].concat()
}

#[test]
fn three_segments_close_a_connection() {
    let c = one(&opened(&[
        (C, "PSH+ACK", 101, 901, 6),
        (S, "PSH+ACK", 901, 107, 6),
        (C, "ACK", 107, 907, 0),
        (C, "FIN+ACK", 107, 907, 0),
        (S, "FIN+ACK", 907, 108, 0),
        (C, "ACK", 108, 908, 0),
    ]));
    assert_eq!((c.client.to_string().as_str(), c.server.to_string().as_str()), (CLIENT, SERVER));
    assert_eq!((c.packets, c.bytes), (9, u64::from(9 * HEADERS + 12)));
    assert_eq!((c.handshake, c.opening, c.rtt_ns), (true, Handshake::Complete, Some(2_000_000)));
    assert_eq!((c.close, c.fin_by, c.rst_by), (Close::Fin, Some(C), None));
    assert_eq!(c.closing, steps(&[(C, "FIN+ACK"), (S, "FIN+ACK"), (C, "ACK")]));
    assert_eq!((c.first, c.last, c.retransmissions), (0, 8_000_000, 0));
    assert_eq!((c.to_server.packets, c.to_client.packets), (6, 3));
    assert_eq!((c.to_server.payload, c.to_client.payload), (6, 6));
}

#[test]
fn four_segments_close_it_too() {
    let c = one(&opened(&[
        (S, "FIN+ACK", 901, 101, 0),
        (C, "ACK", 101, 902, 0),
        (C, "FIN+ACK", 101, 902, 0),
        (S, "ACK", 902, 102, 0),
    ]));
    assert_eq!((c.close, c.fin_by), (Close::Fin, Some(S)));
    assert_eq!(c.closing, steps(&[(S, "FIN+ACK"), (C, "ACK"), (C, "FIN+ACK"), (S, "ACK")]));
}

#[test]
fn both_may_close_at_once() {
    let c = one(&opened(&[
        (C, "FIN+ACK", 101, 901, 0),
        (S, "FIN+ACK", 901, 101, 0),
        (C, "ACK", 102, 902, 0),
        (S, "ACK", 902, 102, 0),
    ]));
    assert_eq!((c.close, c.closing.len(), c.retransmissions), (Close::Fin, 4, 0));
}

#[test]
fn one_fin_alone_leaves_it_open() {
    let c = one(&opened(&[(C, "FIN+ACK", 101, 901, 0), (S, "ACK", 901, 102, 0)]));
    assert_eq!((c.close, c.fin_by), (Close::Open, Some(C)));
    assert_eq!(c.closing, steps(&[(C, "FIN+ACK"), (S, "ACK")]));
    // The server is killed a minute later, when the client's socket is long gone.
    let c = one(&opened(&[
        (C, "FIN+ACK", 101, 901, 0),
        (S, "ACK", 901, 102, 0),
        (S, "FIN+ACK", 901, 102, 0),
        (C, "RST", 102, 0, 0),
    ]));
    assert_eq!((c.close, c.fin_by, c.rst_by), (Close::Rst, Some(C), Some(C)));
}

#[test]
fn a_reset_after_data() {
    let c = one(&opened(&[
        (C, "PSH+ACK", 101, 901, 5),
        (S, "PSH+ACK", 901, 106, 5),
        (C, "RST+ACK", 106, 901, 0),
        (C, "RST", 106, 0, 0),
    ]));
    assert_eq!((c.handshake, c.close, c.rst_by, c.fin_by), (true, Close::Rst, Some(C), None));
    assert_eq!(c.closing, steps(&[(C, "RST+ACK")]));
}

#[test]
fn a_reset_of_what_is_closed_changes_nothing() {
    let c = one(&opened(&[
        (C, "FIN+ACK", 101, 901, 0),
        (S, "FIN+ACK", 901, 102, 0),
        (C, "ACK", 102, 902, 0),
        (S, "RST", 902, 0, 0),
    ]));
    assert_eq!((c.close, c.rst_by, c.closing.len(), c.packets), (Close::Fin, None, 3, 7));
}

#[test]
fn refused() {
    let c = one(&[(C, "SYN", 100, 0, 0), (S, "RST+ACK", 0, 101, 0)]);
    assert_eq!((c.handshake, c.opening), (false, Handshake::Partial));
    assert_eq!((c.close, c.rst_by, c.rtt_ns), (Close::Rst, Some(S), None));
}

#[test]
fn unanswered() {
    let (all, novelties) = all(&[(C, "SYN", 100, 0, 0); 4]);
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].opening, all[0].close), (Handshake::Partial, Close::Open));
    assert_eq!((all[0].packets, all[0].retransmissions), (4, 3));
    assert_eq!(novelties[1..], [Again; 3]);
}

#[test]
fn an_answer_after_retransmissions_counts_from_the_last_syn() {
    let mut rows = vec![(C, "SYN", 100, 0, 0); 3];
    rows.extend(&HANDSHAKE[1..]);
    assert_eq!(one(&rows).rtt_ns, Some(2_000_000));
}

#[test]
fn ports_are_used_again() {
    let whole = |isn| {
        [
            (C, "SYN", isn, 0, 0),
            (S, "SYN+ACK", isn + 50, isn + 1, 0),
            (C, "ACK", isn + 1, isn + 51, 0),
            (C, "FIN+ACK", isn + 1, isn + 51, 0),
            (S, "FIN+ACK", isn + 51, isn + 2, 0),
            (C, "ACK", isn + 2, isn + 52, 0),
        ]
    };
    for second in [100, 70_000] {
        let (all, _) = all(&[whole(100), whole(second)].concat());
        assert_eq!(all.len(), 2, "second connection starts at {second}");
        for c in all {
            assert_eq!((c.packets, c.handshake, c.close, c.retransmissions), (6, true, Close::Fin, 0));
        }
    }
}

#[test]
fn a_client_that_forgot_starts_again_over_a_server_that_did_not() {
    // The server still holds the old connection and answers with its ACK; the client resets
    // that, and its retransmitted SYN gets through.
    let (all, _) = all(&opened(&[
        (C, "SYN", 5_000, 0, 0),
        (S, "ACK", 901, 101, 0),
        (C, "RST", 101, 0, 0),
        (C, "SYN", 5_000, 0, 0),
        (S, "SYN+ACK", 7_000, 5_001, 0),
        (C, "ACK", 5_001, 7_001, 0),
    ]));
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].handshake, all[0].close), (true, Close::Open));
    let c = &all[1];
    assert_eq!((c.handshake, c.close, c.rst_by, c.retransmissions), (true, Close::Open, None, 1));
}

#[test]
fn sequence_numbers_wrap_around() {
    let top = u32::MAX - 2;
    let c = one(&[
        (C, "SYN", top, 0, 0),
        (S, "SYN+ACK", u32::MAX, top + 1, 0),
        (C, "ACK", top + 1, 0, 0),
        (C, "PSH+ACK", top + 1, 0, 10),
        (S, "PSH+ACK", 0, 8, 10),
        (C, "PSH+ACK", top + 1, 0, 10),
        (C, "FIN+ACK", 8, 10, 0),
        (S, "FIN+ACK", 10, 9, 0),
        (C, "ACK", 9, 11, 0),
    ]);
    assert_eq!((c.handshake, c.close, c.closing.len()), (true, Close::Fin, 3));
    assert_eq!((c.retransmissions, c.to_server.payload, c.to_client.payload), (1, 10, 10));
}

#[test]
fn relative_numbers_count_from_the_syn() {
    let mut conversations = Conversations::new();
    let rows = opened(&[(C, "PSH+ACK", 101, 901, 6), (S, "RST", 901, 0, 0)]);
    let seen: Vec<_> = rows
        .iter()
        .map(|row| conversations.push(&segment(*row, 0)))
        .map(|seen| (seen.by, seen.seq, seen.ack))
        .collect();
    assert_eq!(seen, [(C, 0, 0), (S, 0, 1), (C, 1, 1), (C, 1, 1), (S, 1, 0)]);
}

#[test]
fn keepalives_are_no_retransmissions() {
    let probe: Row = (C, "ACK", 106, 901, 0);
    let (all, novelties) = all(&opened(&[
        (C, "PSH+ACK", 101, 901, 6),
        (S, "ACK", 901, 107, 0),
        probe,
        (S, "ACK", 901, 107, 0),
        (C, "ACK", 106, 901, 1),
    ]));
    assert_eq!((all[0].to_server.keepalives, all[0].retransmissions), (2, 0));
    assert_eq!(novelties[5], SeqAnalysis::KeepAlive);
    // A retransmission of one unacknowledged byte only looks like one.
    let c = one(&opened(&[(C, "PSH+ACK", 101, 901, 1), (C, "PSH+ACK", 101, 901, 1)]));
    assert_eq!((c.to_server.keepalives, c.retransmissions), (0, 1));
}

#[test]
fn a_probe_of_a_shut_window() {
    let mut conversations = Conversations::new();
    let rows = opened(&[(C, "ACK", 101, 901, 9), (S, "ACK", 901, 110, 0), (C, "ACK", 109, 901, 0)]);
    for (n, row) in rows.into_iter().enumerate() {
        let window = if n == 4 { 0 } else { 502 };
        conversations.push(&Segment { window, ..segment(row, n) });
    }
    assert_eq!(conversations.get(0).unwrap().to_server.window_probes, 1);
}

#[test]
fn late_is_not_again() {
    let (all, novelties) = all(&opened(&[
        (C, "ACK", 101, 901, 10),
        (C, "ACK", 121, 901, 10),
        (C, "ACK", 111, 901, 10),
        (C, "ACK", 111, 901, 10),
        // The tail of what passed, and five bytes more.
        (C, "ACK", 121, 901, 15),
    ]));
    assert_eq!(novelties[3..], [New, New, OutOfOrder, Again, Again]);
    assert_eq!((all[0].to_server.payload, all[0].to_server.out_of_order), (35, 1));
    assert_eq!(all[0].retransmissions, 2);
}

/// Lost before the watched wire: only the retransmission is seen, a round trip after the gap.
#[test]
fn lost_before_the_tap_is_sent_again() {
    let mut rows = opened(&[
        (C, "ACK", 101, 901, 10),
        (C, "ACK", 121, 901, 10),
        (S, "ACK", 901, 111, 0),
        (C, "ACK", 131, 901, 10),
        (S, "ACK", 901, 111, 0),
        (C, "ACK", 111, 901, 10),
    ]);
    let (c, novelties) = all(&rows);
    assert_eq!(novelties[3..], [New, New, New, New, New, Again]);
    assert_eq!((c[0].retransmissions, c[0].to_server.out_of_order, c[0].to_server.payload), (1, 0, 40));

    // The peer had asked for it, so it is a retransmission, however soon after the gap.
    let mut conversations = Conversations::new();
    rows.insert(8, (S, "ACK", 901, 111, 0));
    let at = |n: usize| 1_000_000 * n.min(3) as u64 + n as u64;
    for (n, row) in rows.iter().enumerate() {
        conversations.push(&Segment { at: at(n), ..segment(*row, n) });
    }
    assert_eq!(conversations.get(0).unwrap().retransmissions, 1);
}

#[test]
fn what_covers_more_than_its_gap_counts_once() {
    let c = one(&opened(&[(C, "ACK", 101, 901, 5), (C, "ACK", 111, 901, 10), (C, "ACK", 101, 901, 15)]));
    assert_eq!(c.to_server.payload, 20);
}

#[test]
fn gaps_are_filled_however_many_there_are() {
    let count: u32 = 5000;
    let skipped = (0..count).map(|n| (C, "ACK", 111 + 20 * n, 901, 10));
    let filled = (0..count).rev().map(|n| (C, "ACK", 101 + 20 * n, 901, 10));
    let flow = one(&opened(&skipped.chain(filled).collect::<Vec<_>>())).to_server;
    assert_eq!(
        (flow.payload, flow.retransmissions + flow.out_of_order),
        (u64::from(20 * count), count.into())
    );
}

#[test]
fn a_gap_is_filled_in_parts() {
    let rows = [
        (C, "ACK", 131, 901, 10),
        (C, "ACK", 111, 901, 10),
        (C, "ACK", 101, 901, 15),
        (C, "ACK", 101, 901, 40),
    ];
    assert_eq!(one(&opened(&rows)).to_server.payload, 40);
    // One over several gaps and beyond, where the numbers wrap around.
    let top = u32::MAX - 9;
    let c = one(&[
        (C, "SYN", top, 0, 0),
        (C, "ACK", top + 5, 0, 1),
        (C, "ACK", top + 8, 0, 1),
        (C, "ACK", 2, 0, 1),
        (C, "ACK", top + 1, 0, 20),
    ]);
    assert_eq!(c.to_server.payload, 20);
}

#[test]
fn an_acknowledgment_that_overtook_its_data_leaves_a_gap() {
    let (c, novelties) = all(&opened(&[(C, "ACK", 111, 901, 0), (C, "ACK", 101, 901, 10)]));
    assert_eq!(novelties[3..], [New, OutOfOrder]);
    assert_eq!(c[0].to_server.payload, 10);
}

#[test]
fn of_two_answers_to_a_syn_the_one_counts_that_is_acknowledged() {
    for (taken, other) in [(900, 77_000), (77_000, 900)] {
        for order in [[taken, other], [other, taken]] {
            let c = one(&[
                (C, "SYN", 100, 0, 0),
                (S, "SYN+ACK", order[0], 101, 0),
                (S, "SYN+ACK", order[1], 101, 0),
                (C, "ACK", 101, taken + 1, 0),
                (S, "PSH+ACK", taken + 1, 101, 5),
                (S, "FIN+ACK", taken + 6, 101, 0),
                (C, "FIN+ACK", 101, taken + 7, 0),
                (S, "ACK", taken + 7, 102, 0),
            ]);
            assert_eq!((c.handshake, c.close, c.retransmissions), (true, Close::Fin, 0), "{order:?}");
            assert_eq!((c.closing.len(), c.to_client.payload, c.rtt_ns), (3, 5, Some(3_000_000)));
        }
    }
}

#[test]
fn keepalives_of_a_capture_that_began_with_one() {
    let round = [(C, "ACK", 106, 901, 0), (S, "ACK", 901, 107, 0)];
    let c = one(&[round, round, round].concat());
    assert_eq!((c.to_server.keepalives, c.to_client.keepalives, c.retransmissions), (2, 0, 0));
}

#[test]
fn keepalives_of_a_side_whose_peer_is_not_heard() {
    let c = one(&[
        (C, "SYN", 100, 0, 0),
        (C, "ACK", 101, 901, 0),
        (C, "ACK", 100, 901, 0),
        (C, "ACK", 100, 901, 1),
    ]);
    assert_eq!((c.to_server.keepalives, c.to_server.window_probes, c.retransmissions), (2, 0, 0));
    // A retransmission, as PSH shows.
    let c = one(&[(C, "PSH+ACK", 101, 901, 1), (C, "PSH+ACK", 101, 901, 1)]);
    assert_eq!((c.to_server.keepalives, c.retransmissions), (0, 1));
}

#[test]
fn a_syn_that_its_data_overtook() {
    let (c, novelties) = all(&[
        (C, "PSH+ACK", 101, 901, 6),
        (C, "SYN", 100, 0, 0),
        (S, "SYN+ACK", 900, 101, 0),
        (C, "ACK", 107, 901, 0),
    ]);
    assert_eq!((c.len(), c[0].handshake, c[0].retransmissions), (1, true, 0));
    assert_eq!((novelties[1], c[0].to_server.payload), (OutOfOrder, 6));
}

#[test]
fn no_round_trip_is_known_where_the_clock_was_set_back() {
    let mut conversations = Conversations::new();
    for (row, at) in HANDSHAKE.into_iter().zip([5, 6, 2]) {
        conversations.push(&Segment { at, ..segment(row, 0) });
    }
    let told = conversations.get(0).unwrap();
    assert_eq!((told.handshake, told.rtt_ns), (true, None));
}

#[test]
fn a_fin_sent_again_is_one_closing_segment() {
    let c = one(&opened(&[(C, "FIN+ACK", 101, 901, 0); 3]));
    assert_eq!((c.closing.len(), c.retransmissions), (1, 2));
}

#[test]
fn without_a_syn_the_lower_port_is_the_server() {
    for first in [C, S] {
        let c = one(&[(first, "PSH+ACK", 500, 700, 5), (first.peer(), "ACK", 700, 505, 0)]);
        assert_eq!((c.client.to_string().as_str(), c.opening), (CLIENT, Handshake::None));
    }
    let c = one(&[(S, "SYN+ACK", 900, 101, 0), (C, "ACK", 101, 901, 0)]);
    assert_eq!((c.client.to_string().as_str(), c.opening), (CLIENT, Handshake::Partial));
    let mut conversations = Conversations::new();
    let equal: SocketAddr = "198.18.0.9:8007".parse().unwrap();
    conversations.push(&Segment { src: equal, ..segment((C, "ACK", 1, 1, 0), 0) });
    assert_eq!(conversations.get(0).unwrap().client, equal, "of equal ports, who speaks first");
}

#[test]
fn a_packet_seen_on_two_segments_is_sent_once() {
    let mut conversations = Conversations::new();
    for (n, row) in opened(&[(C, "PSH+ACK", 101, 901, 6)]).into_iter().enumerate() {
        for interface in [0, 1] {
            // Each direction meets its own side's wire first.
            let interface = if row.0 == C { interface } else { 1 - interface };
            conversations.push(&Segment { interface, ..segment(row, n) });
        }
    }
    let c = conversations.get(0).unwrap();
    assert_eq!((c.packets, c.retransmissions, c.to_server.payload), (8, 0, 6));
    assert_eq!((c.to_server.copies, c.to_client.copies, c.handshake), (3, 1, true));
}

#[test]
fn json_has_the_agreed_shape() {
    let c = one(&opened(&[(C, "RST+ACK", 101, 901, 0)]));
    let json = serde_json::to_value(&c).unwrap();
    assert_eq!(json["client"], CLIENT);
    assert_eq!(json["server"], SERVER);
    assert_eq!(json["close"], "rst");
    assert_eq!(json["handshake"], true);
    assert_eq!(json["closing"][0], serde_json::json!({"by": "client", "flags": "RST+ACK"}));
    assert_eq!(serde_json::from_value::<Conversation>(json).unwrap(), c);
    assert_eq!(Flags::SYN.to_string(), "SYN");
}
