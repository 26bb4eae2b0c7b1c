//! TCP conversations in which something happens, as packets of one capture.

use Side::{Client as C, Server as S};
use etherparse::{PacketBuilder, TcpHeader};
use netlab::capture::Side;

/// A packet: milliseconds since the one before, sender, flags, sequence and acknowledgment numbers counted from the
/// SYNs, bytes of data.
type Row = (u64, Side, &'static str, u32, u32, u32);

/// What happens, and where its sequence numbers start.
pub struct Talk {
    pub name: &'static str,
    pub first: u32,
    pub rows: Vec<Row>,
}

const OPEN: [Row; 3] = [(0, C, "S", 0, 0, 0), (1, S, "SA", 0, 1, 0), (1, C, "A", 1, 1, 0)];

fn talk(name: &'static str, rows: &[Row]) -> Talk {
    Talk { name, first: 1000, rows: rows.to_vec() }
}

fn opened(name: &'static str, rows: &[Row]) -> Talk {
    talk(name, &[&OPEN, rows].concat())
}

/// Every kind.
pub fn all() -> Vec<Talk> {
    let whole: &[Row] = &[
        (1, C, "PA", 1, 1, 6),
        (1, S, "PA", 1, 7, 6),
        (1, C, "A", 7, 7, 0),
        (1, C, "FA", 7, 7, 0),
        (1, S, "FA", 7, 8, 0),
        (1, C, "A", 8, 8, 0),
    ];
    let many_gaps: Vec<Row> = (0..50)
        .map(|n| (1, C, "PA", 11 + 20 * n, 1, 10))
        .chain((0..50).map(|n| (if n == 0 { 400 } else { 1 }, C, "PA", 1 + 20 * n, 1, 10)))
        .collect();
    vec![
        opened("whole", whole),
        Talk { first: u32::MAX - 3, ..opened("numbers wrap around", whole) },
        opened(
            "lost behind the tap",
            &[(1, C, "PA", 1, 1, 9), (300, C, "PA", 1, 1, 9), (1, S, "A", 1, 10, 0)],
        ),
        opened(
            "lost before the tap",
            &[
                (1, C, "PA", 1, 1, 9),
                (1, C, "PA", 19, 1, 9),
                (1, S, "A", 1, 10, 0),
                (300, C, "PA", 10, 1, 9),
                (1, S, "A", 1, 28, 0),
            ],
        ),
        opened(
            "asked for again",
            &[
                (1, C, "PA", 1, 1, 9),
                (1, C, "PA", 19, 1, 9),
                (1, S, "A", 1, 10, 0),
                (1, S, "A", 1, 10, 0),
                (1, S, "A", 1, 10, 0),
                (1, S, "A", 1, 10, 0),
                (9, C, "PA", 10, 1, 9),
            ],
        ),
        opened("overtaken", &[(1, C, "PA", 10, 1, 9), (0, C, "PA", 1, 1, 9), (1, S, "A", 1, 19, 0)]),
        opened("more gaps than a window has", &many_gaps),
        opened("a late one covers more", &[(1, C, "PA", 11, 1, 10), (300, C, "PA", 1, 1, 20)]),
        talk("asked three times", &[(0, C, "S", 0, 0, 0), (1000, C, "S", 0, 0, 0), (2000, C, "S", 0, 0, 0)]),
        talk("refused", &[(0, C, "S", 0, 0, 0), (1, S, "RA", 0, 1, 0)]),
        opened("reset", &[(1, C, "PA", 1, 1, 6), (1, S, "R", 1, 0, 0)]),
        opened(
            "kept alive",
            &[
                (1, C, "PA", 1, 1, 6),
                (1, S, "A", 1, 7, 0),
                (9000, C, "A", 6, 1, 0),
                (1, S, "A", 1, 7, 0),
                (9000, C, "A", 6, 1, 1),
                (1, S, "A", 1, 7, 0),
            ],
        ),
        talk(
            "kept alive, one side heard",
            &[(0, C, "S", 0, 0, 0), (1, C, "A", 1, 1, 0), (9000, C, "A", 0, 1, 0), (9000, C, "A", 0, 1, 1)],
        ),
        opened("a fin sent again", &[(1, C, "FA", 1, 1, 0), (300, C, "FA", 1, 1, 0), (1, S, "FA", 1, 2, 0)]),
        talk(
            "begun before",
            &[(0, C, "PA", 500, 900, 7), (1, S, "A", 900, 507, 0), (1, S, "PA", 900, 507, 7)],
        ),
        talk("data before its syn", &[(0, C, "PA", 1, 1, 9), (0, C, "S", 0, 0, 0), (1, S, "SA", 0, 1, 0)]),
    ]
}

/// The packets of a conversation between this client's port and 8007, each with its time in microseconds.
pub fn packets(talk: &Talk, port: u16, v6: bool) -> Vec<(u64, Vec<u8>)> {
    let mut at = 0;
    let packet = |(wait, by, flags, seq, ack, len): &Row| {
        at += wait * 1000 + 1;
        let has = |flag| flags.contains(flag);
        let [from, to] = if *by == C { [port, 8007] } else { [8007, port] };
        let of = |side: Side| if side == C { talk.first } else { talk.first.wrapping_add(70_000) };
        let mut tcp = TcpHeader::new(from, to, of(*by).wrapping_add(*seq), 502);
        (tcp.syn, tcp.ack, tcp.fin, tcp.rst, tcp.psh) = (has('S'), has('A'), has('F'), has('R'), has('P'));
        tcp.acknowledgment_number = if has('A') { of(by.peer()).wrapping_add(*ack) } else { 0 };
        let mut ends = [3, 2];
        if *by == S {
            ends.reverse();
        }
        let mut bytes = Vec::new();
        let data = vec![b'x'; *len as usize];
        let written = if v6 {
            let [src, dst] = ends.map(|end| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
            PacketBuilder::ipv6(src, dst, 64).tcp_header(tcp).write(&mut bytes, &data)
        } else {
            let [src, dst] = ends.map(|end| [198, 18, 0, end]);
            PacketBuilder::ipv4(src, dst, 64).tcp_header(tcp).write(&mut bytes, &data)
        };
        written.unwrap();
        (at, bytes)
    };
    talk.rows.iter().map(packet).collect()
}
