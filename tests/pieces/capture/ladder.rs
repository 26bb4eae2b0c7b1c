//! Ladder diagrams.

use netlab::capture::{
    Conversations, Names,
    ladder::{Charset, Ladder, draw},
};

use super::conversations::{Row, opened, segment};
use netlab::capture::Side::{Client as C, Server as S};

/// The ladder of some segments, in ASCII.
fn ladder(rows: &[Row]) -> String {
    let (mut conversations, mut ladder) = (Conversations::new(), Ladder::new());
    for (n, row) in rows.iter().enumerate() {
        let segment = segment(*row, n);
        ladder.push(&segment, &conversations.push(&segment));
    }
    let names: Names = [([198, 18, 0, 3], "client1"), ([198, 18, 0, 2], "server")].into_iter().collect();
    draw(&ladder, &names, Charset::ASCII)
}

#[test]
fn a_whole_connection() {
    let rows = opened(&[
        (C, "PSH+ACK", 101, 901, 6),
        (C, "PSH+ACK", 101, 901, 6),
        (S, "ACK", 901, 107, 0),
        (C, "FIN+ACK", 107, 901, 0),
        (S, "FIN+ACK", 901, 108, 0),
        (C, "ACK", 108, 902, 0),
    ]);
    insta::assert_snapshot!(ladder(&rows), @"
              client1                         server
    0.000000  |------------- SYN ------------>|
              | SYN_SENT                      |
    0.001000  |<---------- SYN+ACK -----------|
              | ESTABLISHED                   | SYN_RECV
    0.002000  |------------- ACK ------------>|
              |                               | ESTABLISHED
    0.003000  |-------- PSH+ACK len 6 ------->|
    0.004000  |..... PSH+ACK len 6 again ....>|
    0.005000  |<------------ ACK -------------|
    0.006000  |----------- FIN+ACK ---------->|
              | FIN_WAIT1                     | CLOSE_WAIT
    0.007000  |<---------- FIN+ACK -----------|
              | TIME_WAIT                     | LAST_ACK
    0.008000  |------------- ACK ------------>|
              |                               | CLOSE
    ");
}

/// The states of a ladder in capitals, from the left and the top.
fn states(rows: &[Row]) -> Vec<String> {
    let drawn = ladder(rows);
    let words = drawn.split_whitespace().filter(|word| word.len() > 4);
    words
        .filter(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit()))
        .map(Into::into)
        .collect()
}

#[test]
fn half_closed_and_closed_at_once() {
    let half = states(&opened(&[(C, "FIN+ACK", 101, 901, 0), (S, "ACK", 901, 102, 0)]));
    assert_eq!(half[4..], ["FIN_WAIT1", "CLOSE_WAIT", "FIN_WAIT2"]);
    let at_once = states(&opened(&[
        (C, "FIN+ACK", 101, 901, 0),
        (S, "FIN+ACK", 901, 101, 0),
        (C, "ACK", 102, 902, 0),
        (S, "ACK", 902, 102, 0),
    ]));
    assert_eq!(at_once[4..], ["FIN_WAIT1", "CLOSE_WAIT", "CLOSING", "CLOSING", "TIME_WAIT", "TIME_WAIT"]);
}

#[test]
fn refused_reset_and_begun_before_the_capture() {
    assert_eq!(states(&[(C, "SYN", 100, 0, 0), (S, "RST+ACK", 0, 101, 0)]), ["SYN_SENT", "CLOSE", "CLOSE"]);
    assert_eq!(states(&opened(&[(S, "RST", 901, 0, 0)]))[4..], ["CLOSE", "CLOSE"]);
    let midway = states(&[(C, "PSH+ACK", 101, 901, 6), (S, "FIN+ACK", 901, 107, 0)]);
    assert_eq!(midway, ["CLOSE_WAIT", "FIN_WAIT1"]);
}
