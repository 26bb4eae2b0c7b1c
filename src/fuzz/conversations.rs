//! TCP segments in any order and with any sequence numbers.

use std::{borrow::Cow, net::SocketAddr};

use super::{assert_harmless, capture::assert_sound};
use crate::capture::{Close, Conversations, Flags, Names, Segment, States, show::line};

/// Bytes of input per TCP segment.
const SEGMENT: usize = 8;
/// Bytes of a frame's headers.
const HEADERS: u32 = 54;

/// Follows TCP segments between two ends, seen on two interfaces, from eight bytes each: the sender, the interface and
/// how far back in time; flags; sequence number; acknowledgment number; length; window; how much later; and an unused
/// one.
pub fn conversations(bytes: &[u8]) {
    let ends = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 40000)));
    // Both wrap soon, one of them to what looks negative.
    let first = [0xffff_fff0_u32, 0x7fff_fff0];
    let (mut all, mut states) = (Conversations::new(), Vec::<States>::new());
    let (mut at, mut packets) = (1_000_000_u64, 0);
    for &[who, flags, seq, ack, len, window, later, _] in bytes.as_chunks::<SEGMENT>().0 {
        let by = usize::from(who & 1);
        at = at.saturating_add(u64::from(later) << (later & 0x1f)).saturating_sub(u64::from(who >> 4));
        let len = u32::from(len & 0x3f);
        let segment = Segment {
            at,
            tunnels: 0,
            interface: u32::from(who >> 1 & 1),
            src: ends[by],
            dst: ends[1 - by],
            flags: Flags(u16::from(flags & 0x3f)),
            seq: first[by].wrapping_add(near_or_far(seq)),
            ack: first[1 - by].wrapping_add(near_or_far(ack)),
            window: u16::from(window & 3),
            frame_len: len + HEADERS,
            len,
            payload: Cow::Owned(vec![b'x'; len as usize]),
        };
        let seen = all.push(&segment);
        packets += 1;
        if seen.conversation == states.len() {
            states.push(States::before(&segment));
        }
        states[seen.conversation].push(&segment, &seen);
        assert_harmless(&line(&segment, &seen, &Names::default()));
    }
    assert_eq!(all.iter().map(|c| c.packets).sum::<u64>(), packets);
    for c in all.iter() {
        assert_sound(&c);
        for flow in [&c.to_server, &c.to_client] {
            assert!(flow.payload <= flow.bytes - flow.packets * u64::from(HEADERS), "{c:?}");
        }
        assert!(c.fin_by.is_some() || c.close != Close::Fin, "{c:?}");
        assert_eq!(c.rst_by.is_some(), c.close == Close::Rst, "{c:?}");
        assert!(c.closing.len() as u64 <= c.packets, "{c:?}");
    }
}

fn near_or_far(byte: u8) -> u32 {
    let number = u32::from(byte & 0x7f);
    if byte & 0x80 == 0 { number } else { number << 25 }
}
