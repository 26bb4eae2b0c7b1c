//! What is told in the ladder, each thing with its time.

use std::collections::HashMap;

use super::{
    Item, NoteKind, Place,
    lives::Life,
    rows::{ends, lanes_of},
    strands::{Look, Strand, side},
};
use crate::{
    capture::Flags, capture::TcpState, printable::visible, report::Evidence, time::Nanos, timeline::What,
};

/// Everything, not yet in order.
pub(super) fn tell(
    evidence: &Evidence,
    hosts: &[String],
    strands: &[Strand],
    lives: &[Life],
) -> Vec<(Nanos, Item)> {
    let mut told = noted(evidence, hosts, lives);
    let lanes = lanes_of(strands);
    let mut steps = 0;
    for event in evidence.timeline.events() {
        match &event.what {
            What::Say { text } => {
                steps += 1;
                told.push((event.at, Item::Step { number: steps, text: visible(text) }));
            }
            What::Packet(packet) => {
                // A packet of another port is no part of the exercise, and has no strand.
                if super::concerns(evidence, packet.from_port, packet.to_port)
                    && let Some([from, to]) = ends(packet, hosts, &lanes)
                {
                    told.push((event.at, Item::Arrow { packet: packet.clone(), from, to }));
                }
            }
            _ => {}
        }
    }
    for (strand, s) in strands.iter().enumerate() {
        let place = Place { host: s.host, lane: s.lane };
        let has_lives = lives.iter().any(|life| life.host == hosts[s.host]);
        for (i, (at, look)) in s.looks.iter().enumerate() {
            let before = i.checked_sub(1).and_then(|i| s.looks[i].1);
            let text = socket(s, *look, before, has_lives);
            told.push((*at, Item::Socket { strand, place, side: s.side, text }));
        }
    }
    for (life, l) in lives.iter().enumerate() {
        let turns = l.turns.iter().cloned();
        told.extend(turns.map(|(at, turn, text)| (at, Item::Process { life, turn, text: visible(&text) })));
    }
    told
}

/// An exchange of more data segments and acknowledgments than this, with nothing else in between, is
/// folded: its first and its last packets are told, and how many there were between them.
const MANY: usize = 12;
const SHOWN: usize = 4;

/// Folds what is too long. Takes everything in order.
pub(super) fn fold(told: &[(Nanos, Item)]) -> Vec<(Nanos, Item)> {
    let mut folded = Vec::with_capacity(told.len());
    for exchange in told.chunk_by(|(_, a), (_, b)| ordinary(a).is_some() && ordinary(a) == ordinary(b)) {
        if exchange.len() <= MANY {
            folded.extend_from_slice(exchange);
            continue;
        }
        let middle = &exchange[SHOWN..exchange.len() - SHOWN];
        folded.extend_from_slice(&exchange[..SHOWN]);
        folded.extend(bulk(middle));
        folded.extend_from_slice(&exchange[exchange.len() - SHOWN..]);
    }
    folded
}

/// The two ends of a packet that neither opens nor closes anything, the left one first.
fn ordinary(item: &Item) -> Option<[(usize, usize); 2]> {
    let Item::Arrow { packet, from, to } = item else { return None };
    let mut ends = [(from.host, from.lane), (to.host, to.lane)];
    ends.sort_unstable();
    let control = Flags::SYN | Flags::FIN | Flags::RST;
    (!packet.flags.any(control) && !packet.retransmission).then_some(ends)
}

fn bulk(middle: &[(Nanos, Item)]) -> Option<(Nanos, Item)> {
    let (at, first) = middle.first()?;
    let ends = ordinary(first)?.map(|(host, lane)| Place { host, lane });
    let data = middle.iter().map(|(_, item)| match item {
        Item::Arrow { packet, .. } => u64::from(packet.len),
        _ => 0,
    });
    Some((*at, Item::Bulk { from: ends[0], to: ends[1], packets: middle.len(), bytes: data.sum() }))
}

/// A socket's words for how it looks now.
fn socket(strand: &Strand, now: Option<Look>, before: Option<Look>, with_owner: bool) -> String {
    let Some(look) = now else {
        return match before.map(|look| look.state) {
            Some(TcpState::Listen) => format!("port {} is closed", strand.key.port),
            _ => "closed".to_owned(),
        };
    };
    let port = match look.state {
        TcpState::Listen => format!(" {}", strand.key.port),
        _ => String::new(),
    };
    let queue = match before {
        _ if look.queue > 0 => format!(" · Recv-Q {}", look.queue),
        Some(before) if before.queue > 0 => " · Recv-Q 0".to_owned(),
        _ => String::new(),
    };
    let owner = match look.owner {
        Some(pid) if with_owner => format!(" · pid {pid}"),
        None if with_owner && matches!(look.state, TcpState::Established | TcpState::CloseWait) => {
            " · no process".to_owned()
        }
        _ => String::new(),
    };
    format!("{}{port}{queue}{owner}", look.state)
}

/// What was typed, printed and done on the hosts.
fn noted(evidence: &Evidence, hosts: &[String], lives: &[Life]) -> Vec<(Nanos, Item)> {
    let mut told = Vec::new();
    let mut on: HashMap<&str, &str> = HashMap::new();
    let servers = hosts.iter().find(|host| super::is_server(&evidence.plan, host));
    let servers = servers.map_or("", String::as_str);
    for event in evidence.timeline.events() {
        let mut note = |host: &str, kind, text: String| {
            if let Some(host) = hosts.iter().position(|h| h == host) {
                let side = side(host, hosts.len(), false);
                told.push((event.at, Item::Note { place: Place { host, lane: 0 }, side, kind, text }));
            }
        };
        match &event.what {
            What::Started { program, host, .. } => drop(on.insert(program, host)),
            What::Typed { program, text } => {
                note(on.get(&**program).unwrap_or(&""), NoteKind::Input, format!("types {}", quoted(text)));
            }
            What::EndOfFile { program } => {
                note(on.get(&**program).unwrap_or(&""), NoteKind::Input, "^D, end of file".into());
            }
            What::Printed { host, text, .. } => {
                for line in text.lines() {
                    note(host, NoteKind::Output, quoted(line));
                }
            }
            What::Ended { program, host, status } => {
                note(host, NoteKind::Output, format!("{program}: {status}"));
            }
            // One to a process of the server's is told with the process.
            What::Signaled { host, pid, name, signal, .. }
                if lives.iter().all(|l| l.pid != *pid || l.host != *host) =>
            {
                note(host, NoteKind::Input, format!("{signal} → {} {pid}", visible(name)));
            }
            What::Switched { host, text, .. } => note(host, NoteKind::Remark, text.clone()),
            What::Look { name } => note(servers, NoteKind::Remark, format!("look “{}”", visible(name))),
            What::TimedOut { waited_ms, .. } => {
                note(servers, NoteKind::Remark, format!("waited {waited_ms} ms in vain"));
            }
            What::ObservationLost { why } => {
                note(servers, NoteKind::Remark, format!("out of sight: {}", visible(why)))
            }
            What::CaptureFull { .. } => note(servers, NoteKind::Remark, "the capture is full".into()),
            What::LeftOut(left) => note(servers, NoteKind::Remark, left.to_string()),
            _ => {}
        }
    }
    told
}

/// A text in quotation marks, its control characters made visible; a long one with its length instead
/// of its end.
fn quoted(text: &str) -> String {
    let line = visible(text.trim_end_matches('\n'));
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("“{}…” ({} bytes)", &line[..at], text.len()),
        None => format!("“{line}”"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Packet;

    fn arrow(number: u64, flags: Flags, len: u32) -> (Nanos, Item) {
        let [client, server] = [0, 1].map(|host| Place { host, lane: 0 });
        let packet = Packet {
            number,
            segment: "lan".into(),
            from: "client1".into(),
            from_port: 40_000,
            to: "server".into(),
            to_port: 8002,
            flags,
            len,
            retransmission: false,
            line: String::new(),
            header: None,
        };
        let (from, to) = if number.is_multiple_of(2) { (client, server) } else { (server, client) };
        (number, Item::Arrow { packet, from, to })
    }

    #[test]
    fn a_long_exchange_is_folded_and_its_ends_are_not() {
        let data = (1..=40).map(|n| arrow(n, Flags::ACK, 100));
        let told: Vec<_> =
            [arrow(0, Flags::SYN, 0)].into_iter().chain(data).chain([arrow(41, Flags::FIN, 7)]).collect();
        let folded = fold(&told);
        assert_eq!(folded.len(), 1 + SHOWN + 1 + SHOWN + 1);
        let (at, Item::Bulk { packets, bytes, .. }) = &folded[1 + SHOWN] else { panic!("{folded:?}") };
        assert_eq!((*at, *packets, *bytes), (5, 32, 3200));

        let short = told[..=MANY].to_vec();
        assert_eq!(fold(&short).len(), short.len());
    }
}
