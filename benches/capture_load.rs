//! `capture_load PACKETS`: writes a capture of this many packets, the same every time: overlapping
//! connections that close, reset, are refused or never answered, over IPv4 and IPv6, with and without
//! VLAN tags, with some packets retransmitted and some that are not TCP.

// Every number is small by construction, or truncated on purpose.
#![allow(clippy::cast_possible_truncation)]

use std::{
    io::{BufWriter, Error, Result, Write, stdout},
    net::{Ipv4Addr, Ipv6Addr},
};

use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader, VlanId};

/// How many connections are open at any moment.
const ACTIVE: usize = 200;
const SERVER_PORT: u16 = 8007;
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

fn main() -> Result<()> {
    let packets = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let packets = packets.ok_or_else(|| Error::other("usage: capture_load PACKETS"))?;
    write(&mut BufWriter::new(stdout().lock()), packets)
}

/// Writes a pcapng file of this many packets.
pub fn write(out: &mut impl Write, packets: usize) -> Result<()> {
    let mut random = Random(1);
    let mut opened = 0;
    let mut active: Vec<Connection> = Vec::new();
    out.write_all(&block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes(), &[1, 0, 0, 0], &[0xff; 8]]))?;
    // Ethernet, no limit, nanoseconds.
    out.write_all(&block(1, &[&[1, 0, 0, 0], &[0; 4], &[9, 0, 1, 0, 9, 0, 0, 0], &[0; 4]]))?;
    for packet in 0..packets {
        while active.len() < ACTIVE {
            active.push(Connection::open(opened, &mut random));
            opened += 1;
        }
        let bytes = if random.below(50) == 0 {
            noise()
        } else {
            let chosen = random.below(ACTIVE);
            let bytes = active[chosen].next(&mut random);
            if active[chosen].is_over() {
                active.swap_remove(chosen);
            }
            bytes
        };
        let at = 1_700_000_000_000_000_000 + packet as u64 * 12_345;
        let len = u32::try_from(bytes.len()).map_err(Error::other)?.to_le_bytes();
        let [high, low] = [at >> 32, at & 0xffff_ffff].map(|half| (half as u32).to_le_bytes());
        let padding = vec![0; bytes.len().next_multiple_of(4) - bytes.len()];
        out.write_all(&block(6, &[&[0; 4], &high, &low, &len, &len, &bytes, &padding]))?;
    }
    out.flush()
}

fn block(kind: u32, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes(), &len, &body[..], &len].concat()
}

/// Returns a frame that is not TCP.
fn noise() -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet = PacketBuilder::ethernet2(MACS[0], MACS[1]).ipv4([198, 18, 0, 3], [198, 18, 0, 2], 64);
    packet.udp(40_000, 9).write(&mut bytes, b"to be discarded").expect("writes to memory");
    bytes
}

/// A TCP segment to come: whether the client sends it, its flags (fin, syn, rst, psh, ack) and data.
type Step = (bool, [bool; 5], usize);

const SYN: [bool; 5] = [false, true, false, false, false];
const SYN_ACK: [bool; 5] = [false, true, false, false, true];
const ACK: [bool; 5] = [false, false, false, false, true];
const PSH: [bool; 5] = [false, false, false, true, true];
const FIN: [bool; 5] = [true, false, false, false, true];
const RST: [bool; 5] = [false, false, true, false, true];

struct Connection {
    number: usize,
    steps: Vec<Step>,
    done: usize,
    /// The next sequence numbers of server and client.
    seq: [u32; 2],
}

impl Connection {
    fn open(number: usize, random: &mut Random) -> Self {
        let mut steps = vec![(true, SYN, 0)];
        match random.below(20) {
            0 => steps.push((false, RST, 0)),
            1 => {}
            kind => {
                steps.extend([(false, SYN_ACK, 0), (true, ACK, 0)]);
                for _ in 0..random.below(30) {
                    let line = 1 + random.below(1400);
                    steps.extend([(true, PSH, line), (false, PSH, line), (true, ACK, 0)]);
                }
                steps.extend(match kind {
                    2 => vec![(true, RST, 0)],
                    3..6 => vec![(true, FIN, 0), (false, ACK, 0), (false, FIN, 0), (true, ACK, 0)],
                    _ => vec![(true, FIN, 0), (false, FIN, 0), (true, ACK, 0)],
                });
            }
        }
        Self { number, steps, done: 0, seq: [random.next(), random.next()] }
    }

    fn is_over(&self) -> bool {
        self.done == self.steps.len()
    }

    fn next(&mut self, random: &mut Random) -> Vec<u8> {
        let (by_client, flags, len) = self.steps[self.done];
        let [fin, syn, rst, psh, ack] = flags;
        let (sender, peer) = (usize::from(by_client), usize::from(!by_client));
        // Addresses and ports repeat together after 700 connections, when the first ones are long closed.
        let client_port = 32_768 + (self.number % 100) as u16;
        let [from, to] = if by_client { [client_port, SERVER_PORT] } else { [SERVER_PORT, client_port] };
        let mut header = TcpHeader::new(from, to, self.seq[sender], 502);
        (header.fin, header.syn, header.rst, header.psh, header.ack) = (fin, syn, rst, psh, ack);
        header.acknowledgment_number = if ack { self.seq[peer] } else { 0 };
        // Now and then a packet is lost beyond the watched wire and retransmitted.
        if random.below(100) != 0 {
            self.seq[sender] = self.seq[sender].wrapping_add(len as u32 + u32::from(syn) + u32::from(fin));
            self.done += 1;
        }
        self.packet(by_client, header, &vec![b'x'; len])
    }

    fn packet(&self, by_client: bool, tcp: TcpHeader, data: &[u8]) -> Vec<u8> {
        let host = 3 + (self.number % 7) as u8;
        let link = PacketBuilder::ethernet2(MACS[usize::from(by_client)], MACS[usize::from(!by_client)]);
        let mut bytes = Vec::new();
        let mut ends = [host, 2];
        if !by_client {
            ends.reverse();
        }
        let step: PacketBuilderStep<TcpHeader> = match self.number % 10 {
            0 => {
                let [src, dst] = ends.map(|end| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, end.into()).octets());
                link.ipv6(src, dst, 64).tcp_header(tcp)
            }
            tagged => {
                let [src, dst] = ends.map(|end| Ipv4Addr::new(198, 18, 0, end).octets());
                match tagged {
                    1 => link.single_vlan(VlanId::try_new(7).expect("a VLAN number")).ipv4(src, dst, 64),
                    _ => link.ipv4(src, dst, 64),
                }
                .tcp_header(tcp)
            }
        };
        step.write(&mut bytes, data).expect("writes to memory");
        bytes
    }
}

/// Pseudo-random numbers, the same every time (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}
