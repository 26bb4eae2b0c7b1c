//! Capture files.

use super::assert_harmless;
use crate::capture::{
    Conversation, Conversations, Decoder, Handshake, Reader, States,
    ladder::{Charset, Ladder, draw},
    show::Lines,
    table,
};

/// Maximum number of rows drawn in the table; the others are only counted.
const ROWS: usize = 20;

/// Reads the bytes as a capture, and makes everything from it that netlab makes.
pub fn capture(bytes: &[u8]) {
    let mut reader = match Reader::new(bytes, "fuzz") {
        Ok(reader) => reader,
        Err(error) => return assert_harmless(&error.with_causes()),
    };
    let (mut decoder, mut lines, mut ladder) = (Decoder::through_tunnels(), Lines::default(), Ladder::new());
    let (mut again, mut states): (_, Vec<States>) = (Conversations::new(), Vec::new());
    let (mut packets, mut total) = (0, 0);
    while let Some(frame) = reader.next(&mut lines.names) {
        let line = match decoder.segment(&frame) {
            Some(segment) => {
                packets += 1;
                total += u64::from(segment.frame_len);
                let seen = again.push(&segment);
                if seen.conversation == states.len() {
                    states.push(States::before(&segment));
                }
                states[seen.conversation].push(&segment, &seen);
                ladder.push(&segment, &seen);
                lines.segment(&segment)
            }
            None => lines.frame(&frame),
        };
        assert_harmless(&line);
        assert!(!line.contains('\n'), "{line:?}");
    }
    if let Some(damage) = reader.damage() {
        assert_harmless(&damage.to_string());
        assert_eq!(damage.packets, reader.packets());
    }
    let conversations: Vec<_> = lines.conversations.named(&lines.names).collect();
    assert_eq!(conversations.iter().map(|c| c.packets).sum::<u64>(), packets);
    assert_eq!(conversations.iter().map(|c| c.bytes).sum::<u64>(), total);
    conversations.iter().for_each(assert_sound);
    for charset in [Charset::UNICODE, Charset::ASCII] {
        assert_harmless(&draw(&ladder, &lines.names, charset));
    }
    let mut table = Vec::new();
    table::write(&mut table, &lines.conversations, &lines.names, ROWS).expect("a table in memory");
    assert_harmless(&String::from_utf8(table).expect("text"));
    let json = serde_json::to_string(&conversations).expect("plain data");
    let back: Vec<Conversation> = serde_json::from_str(&json).expect("what was written can be read");
    assert_eq!(back, conversations);
}

/// Asserts what holds for every connection, whatever its packets.
pub(super) fn assert_sound(c: &Conversation) {
    assert_eq!(c.packets, c.to_server.packets + c.to_client.packets, "{c:?}");
    assert_eq!(c.retransmissions, c.to_server.retransmissions + c.to_client.retransmissions, "{c:?}");
    assert_eq!(c.handshake, c.opening == Handshake::Complete, "{c:?}");
    assert!(c.first <= c.last, "{c:?}");
    for flow in [&c.to_server, &c.to_client] {
        let known =
            flow.retransmissions + flow.out_of_order + flow.keepalives + flow.window_probes + flow.copies;
        assert!(known <= flow.packets, "{c:?}");
    }
}
