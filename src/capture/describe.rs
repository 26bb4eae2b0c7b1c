//! Describes frames without a TCP segment in one line.

use super::{Datagram, Frame, Names, Network, decode::network};

const ETHERTYPE_ARP: u16 = 0x0806;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;

/// Describes the frame briefly, in the style of tcpdump.
pub(super) fn describe(frame: &Frame<'_>, names: &Names) -> String {
    match network(frame) {
        Network::Ip(datagram) => ip(&datagram, names),
        Network::Other(ETHERTYPE_ARP, data) => {
            arp(data, names).unwrap_or_else(|| format!("ARP, cut short, length {}", frame.len))
        }
        Network::Other(kind, _) => format!("ethertype 0x{kind:04x}, length {}", frame.len),
        Network::Named(what) => format!("{what}, length {}", frame.len),
        Network::Broken(header) => format!("{header} cut short or malformed, length {}", frame.len),
        Network::Unknown => format!("link type {}, unreadable, length {}", frame.link.0, frame.len),
    }
}

/// Describes an ARP request or reply about IPv4 on Ethernet (RFC 826).
fn arp(data: &[u8], names: &Names) -> Option<String> {
    let packet: &[u8; 28] = data.first_chunk()?;
    let address = |at: usize| names.host([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]].into());
    let (sender, target) = (address(14), address(24));
    match packet[6..8] {
        [0, 1] => Some(format!("ARP, Request who-has {target} tell {sender}")),
        [0, 2] => {
            let mac: Vec<_> = packet[8..14].iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("ARP, Reply {sender} is-at {}", mac.join(":")))
        }
        _ => None,
    }
}

fn ip(datagram: &Datagram<'_>, names: &Names) -> String {
    let Datagram { protocol, len, payload, .. } = *datagram;
    let (src, dst) = (names.host(datagram.src), names.host(datagram.dst));
    let name = match protocol {
        ICMP => "ICMP".into(),
        TCP => "TCP".into(),
        UDP => "UDP".into(),
        ICMP6 => "ICMP6".into(),
        other => format!("protocol {other}"),
    };
    if let Some(part) = datagram.fragment {
        let end = if part.more { "" } else { ", last" };
        return format!(
            "{src} > {dst}: {name} fragment of {}, offset {}{end}, length {len}",
            part.id, part.offset
        );
    }
    match (protocol, payload) {
        (UDP, [s1, s2, d1, d2, ..]) => {
            let [from, to] = [[*s1, *s2], [*d1, *d2]].map(u16::from_be_bytes);
            format!("{src}.{from} > {dst}.{to}: UDP, length {}", len.saturating_sub(8))
        }
        (ICMP | ICMP6, [kind, code, _, _, rest @ ..]) => {
            format!("{src} > {dst}: {name} {}, length {len}", icmp(protocol, *kind, *code, rest))
        }
        (TCP, _) => format!("{src} > {dst}: TCP, header cut short or wrong, length {len}"),
        _ => format!("{src} > {dst}: {name}, length {len}"),
    }
}

fn icmp(protocol: u8, kind: u8, code: u8, rest: &[u8]) -> String {
    let (name, is_echo) = match (protocol, kind) {
        (ICMP, 0) | (ICMP6, 129) => ("echo reply", true),
        (ICMP, 8) | (ICMP6, 128) => ("echo request", true),
        (ICMP, 3) | (ICMP6, 1) => ("destination unreachable", false),
        (ICMP, 11) | (ICMP6, 3) => ("time exceeded", false),
        (ICMP6, 133) => ("router solicitation", false),
        (ICMP6, 134) => ("router advertisement", false),
        (ICMP6, 135) => ("neighbor solicitation", false),
        (ICMP6, 136) => ("neighbor advertisement", false),
        _ => return format!("type {kind} code {code}"),
    };
    match rest {
        [i1, i2, s1, s2, ..] if is_echo => {
            let [id, seq] = [[*i1, *i2], [*s1, *s2]].map(u16::from_be_bytes);
            format!("{name}, id {id}, seq {seq}")
        }
        _ if is_echo || code == 0 => name.to_owned(),
        _ => format!("{name}, code {code}"),
    }
}
