//! Wraps an IP packet in each kind of link and tunnel that can be read.

use super::files::ethernet;

/// A kind of frame: its name, its link type, and how it is made from an IP packet.
pub type Wrap = (&'static str, u16, fn(&[u8]) -> Vec<u8>);

const OUTER: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];

/// The Ethernet type of an IP packet.
fn kind(packet: &[u8]) -> [u8; 2] {
    if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] }
}

fn frame(packet: &[u8]) -> Vec<u8> {
    ethernet(u16::from_be_bytes(kind(packet)), packet)
}

/// A header before the packet's Ethernet type and the packet itself.
fn typed(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, &kind(packet), packet].concat()
}

fn before(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, packet].concat()
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap().to_be_bytes()
}

/// An IPv4 packet of this protocol.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = short(20 + payload.len());
    let header = [&[0x45, 0], &total[..], &[0, 0, 0x40, 0, 64, protocol, 0, 0]].concat();
    [&header[..], &OUTER[0], &OUTER[1], payload].concat()
}

fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = [&[0x60, 0, 0, 0], &short(payload.len())[..], &[protocol, 64]].concat();
    [&header[..], &[0x20, 1], &[0; 13], &[1, 0x20, 1], &[0; 13], &[2], payload].concat()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let header = [&[0xc3, 0x50], &port.to_be_bytes(), &short(8 + payload.len()), &[0, 0][..]].concat();
    before(&header, payload)
}

/// A frame in a UDP datagram in a frame.
fn in_udp(port: u16, header: &[u8], payload: &[u8]) -> Vec<u8> {
    frame(&ipv4(17, &udp(port, &before(header, payload))))
}

fn gre(flags: [u8; 2], kind: [u8; 2], fields: &[u8], payload: &[u8]) -> Vec<u8> {
    ipv4(47, &[&flags, &kind, fields, payload].concat())
}

fn ppp(packet: &[u8]) -> Vec<u8> {
    before(&[0, if packet[0] >> 4 == 4 { 0x21 } else { 0x57 }], packet)
}

fn snap(packet: &[u8]) -> Vec<u8> {
    typed(&[0xaa, 0xaa, 3, 0, 0, 0], packet)
}

fn pppoe(packet: &[u8]) -> Vec<u8> {
    let ppp = ppp(packet);
    [&[0x11, 0, 0, 9], &short(ppp.len())[..], &ppp].concat()
}

fn wireless(packet: &[u8]) -> Vec<u8> {
    [&[0x88, 1][..], &[0; 22], &[0, 0], &snap(packet)].concat()
}

const VXLAN: [u8; 8] = [8, 0, 0, 0, 0, 0, 7, 0];
const LAST_LABEL: [u8; 4] = [0, 1, 0x01, 64];
const LABEL: [u8; 4] = [0, 2, 0x00, 64];

pub const WRAPS: &[Wrap] = &[
    ("ethernet", 1, frame),
    ("vlan", 1, |p| ethernet(0x8100, &typed(&[0, 7], p))),
    ("qinq", 1, |p| ethernet(0x88a8, &typed(&[0, 7, 0x81, 0, 0, 8], p))),
    ("802.3 with snap", 1, |p| {
        let llc = snap(p);
        ethernet(u16::from_be_bytes(short(llc.len())), &before(&llc, &[0; 3]))
    }),
    ("pppoe", 1, |p| ethernet(0x8864, &pppoe(p))),
    ("pppoe in a vlan", 1, |p| ethernet(0x8100, &before(&[0, 7, 0x88, 0x64], &pppoe(p)))),
    ("mpls", 1, |p| ethernet(0x8847, &before(&LAST_LABEL, p))),
    ("mpls, three labels", 1, |p| ethernet(0x8847, &[&LABEL, &LABEL, &LAST_LABEL, p].concat())),
    ("pseudowire", 1, |p| ethernet(0x8847, &[&LABEL, &LAST_LABEL, &[0; 4], &frame(p)[..]].concat())),
    ("linux cooked", 113, |p| typed(&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], p)),
    ("linux cooked 2", 276, |p| {
        [&kind(p)[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], p].concat()
    }),
    ("raw", 101, |p| p.to_vec()),
    ("loopback", 0, |p| before(&[if p[0] >> 4 == 4 { 2 } else { 30 }, 0, 0, 0], p)),
    ("ppp", 9, |p| before(&[0xff, 3], &ppp(p))),
    ("ppp without hdlc", 9, ppp),
    ("ppp on a serial line", 50, |p| before(&[0xff, 3], &ppp(p))),
    ("cisco hdlc", 104, |p| typed(&[0x0f, 0], p)),
    ("pppoe alone", 51, pppoe),
    ("mpls alone", 219, |p| before(&LAST_LABEL, p)),
    ("atm", 100, snap),
    ("fddi", 10, |p| before(&[0x50, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &snap(p))),
    ("token ring", 6, |p| before(&[0x10, 0x40, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &snap(p))),
    ("frame relay", 107, |p| before(&[0x18, 0x41, 3, if p[0] >> 4 == 4 { 0xcc } else { 0x8e }], p)),
    ("802.11", 105, wireless),
    ("802.11, four addresses", 105, |p| [&[0x08, 3][..], &[0; 28], &snap(p)].concat()),
    ("radiotap", 127, |p| before(&[0, 0, 8, 0, 0, 0, 0, 0], &wireless(p))),
    ("ppi", 192, |p| before(&[0, 0, 8, 0, 105, 0, 0, 0], &wireless(p))),
    ("ip in ip", 1, |p| frame(&ipv4(if p[0] >> 4 == 4 { 4 } else { 41 }, p))),
    ("ip in ipv6", 1, |p| frame(&ipv6(if p[0] >> 4 == 4 { 4 } else { 41 }, p))),
    ("ip in ip in ip", 101, |p| ipv4(4, &ipv4(if p[0] >> 4 == 4 { 4 } else { 41 }, p))),
    ("gre", 1, |p| frame(&gre([0, 0], kind(p), &[], p))),
    ("gre with all fields", 1, |p| frame(&gre([0xb0, 0], kind(p), &[0; 12], p))),
    ("ethernet in gre", 1, |p| frame(&gre([0x20, 0], [0x65, 0x58], &[0, 0, 0, 5], &frame(p)))),
    ("mpls in gre", 1, |p| frame(&gre([0, 0], [0x88, 0x47], &LAST_LABEL, p))),
    ("erspan", 1, |p| {
        frame(&gre([0x10, 0], [0x88, 0xbe], &[0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0], &frame(p)))
    }),
    ("pptp", 1, |p| {
        let ppp = before(&[0xff, 3], &ppp(p));
        let fields = [&short(ppp.len())[..], &[0, 1, 0, 0, 0, 1, 0, 0, 0, 1]].concat();
        frame(&gre([0x30, 0x81], [0x88, 0x0b], &fields, &ppp))
    }),
    ("etherip", 1, |p| frame(&ipv4(97, &before(&[0x30, 0], &frame(p))))),
    ("mpls in ip", 1, |p| frame(&ipv4(137, &before(&LAST_LABEL, p)))),
    ("mpls in udp", 1, |p| in_udp(6635, &LAST_LABEL, p)),
    ("vxlan", 1, |p| in_udp(4789, &VXLAN, &frame(p))),
    ("vxlan over ipv6", 1, |p| frame(&ipv6(17, &udp(4789, &before(&VXLAN, &frame(p)))))),
    ("vlan in vxlan", 1, |p| in_udp(4789, &VXLAN, &ethernet(0x8100, &typed(&[0, 7], p)))),
    ("vxlan with ip", 1, |p| in_udp(4790, &[0x0c, 0, 0, if p[0] >> 4 == 4 { 1 } else { 2 }, 0, 0, 7, 0], p)),
    ("geneve", 1, |p| in_udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 7, 0], &frame(p))),
    ("geneve with options", 1, |p| {
        let options = [1, 2, 3, 1, 0, 0, 0, 0];
        in_udp(6081, &[&[2, 0], &kind(p)[..], &[0, 0, 7, 0], &options].concat(), p)
    }),
    ("gtp", 1, |p| in_udp(2152, &[&[0x30, 255], &short(p.len())[..], &[0, 0, 0, 1]].concat(), p)),
    ("gtp with an extension", 1, |p| {
        let head = [&[0x34, 255], &short(p.len() + 8)[..], &[0, 0, 0, 1]].concat();
        in_udp(2152, &before(&head, &[0, 0, 0, 0x85, 1, 0x10, 9, 0]), p)
    }),
    ("vxlan in gre in a vlan", 1, |p| {
        let inner = ipv4(17, &udp(4789, &before(&VXLAN, &frame(p))));
        ethernet(0x8100, &before(&[0, 7, 8, 0], &gre([0, 0], [8, 0], &[], &inner)))
    }),
];

/// This many nested tunnels.
pub fn nested(packet: &[u8], depth: usize) -> Vec<u8> {
    (0..depth).fold(packet.to_vec(), |packet, _| ipv4(4, &packet))
}

/// A VXLAN packet in two fragments.
pub fn in_pieces(packet: &[u8], id: u8) -> [Vec<u8>; 2] {
    let payload = udp(4789, &before(&VXLAN, &frame(packet)));
    let (first, second) = payload.split_at(40);
    [(first, 0x20, 0), (second, 0, 5)].map(|(piece, more, offset)| {
        let mut piece = ipv4(17, piece);
        (piece[5], piece[6], piece[7]) = (id, more, offset);
        frame(&piece)
    })
}
