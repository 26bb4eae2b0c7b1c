//! Packets inside packets.

use netlab::capture::{Conversations, Decoder, Frame, LinkType, Names, Segment, show, table};

use super::{
    files::{ethernet, ipv4, ipv6, len},
    wraps::{WRAPS, in_pieces, nested},
};

/// The segment in a frame.
fn decode(decoder: &mut Decoder, link: u16, data: &[u8]) -> Option<Segment<'static>> {
    let frame = Frame { at: 0, interface: 0, link: LinkType(link), len: len(data), data };
    decoder.segment(&frame).map(Segment::into_owned)
}

#[test]
fn every_kind_holds_its_segment() {
    for (name, link, make) in WRAPS {
        for packet in [ipv4(b"hola"), ipv6(b"hola")] {
            let frame = make(&packet);
            let segment = decode(&mut Decoder::through_tunnels(), *link, &frame)
                .unwrap_or_else(|| panic!("none in {name}"));
            let (is_v6, data) = (packet[0] >> 4 == 6, &segment.payload[..]);
            assert_eq!((segment.src.is_ipv6(), segment.seq, data), (is_v6, 1000, &b"hola"[..]), "{name}");
            assert_eq!((segment.len, segment.frame_len), (4, len(&frame)), "{name}");
            // However it is cut, there is a segment or there is none.
            for captured in 0..frame.len() {
                let cut = decode(&mut Decoder::through_tunnels(), *link, &frame[..captured]);
                assert!(cut.is_none_or(|cut| cut.seq == 1000), "{name} at {captured}");
            }
        }
    }
}

/// A program that may send nothing but UDP could make up any conversation.
#[test]
fn a_verdict_believes_no_tunnel() {
    for (name, link, make) in WRAPS {
        let frame = make(&ipv4(b"hola"));
        let opened = decode(&mut Decoder::through_tunnels(), *link, &frame).unwrap();
        assert_eq!(decode(&mut Decoder::new(), *link, &frame).is_none(), opened.tunnels > 0, "{name}");
    }
    assert!(in_pieces(&ipv4(b"hola"), 1).iter().all(|piece| decode(&mut Decoder::new(), 1, piece).is_none()));
}

#[test]
fn what_was_in_a_tunnel_says_so() {
    let mut conversations = Conversations::new();
    let segment = decode(&mut Decoder::through_tunnels(), 101, &nested(&ipv4(b"hola"), 2)).unwrap();
    let seen = conversations.push(&segment);
    assert!(show::line(&segment, &seen, &Names::default()).ends_with("\"hola\" [in a tunnel]"));
    let mut written = Vec::new();
    table::write(&mut written, &conversations, &Names::default(), 1).unwrap();
    assert!(String::from_utf8(written).unwrap().contains("retransmissions   in a tunnel   RTT"));
    assert_eq!(serde_json::to_value(conversations.get(0)).unwrap()["to_server"]["tunnelled"], 1);
}

#[test]
fn a_tunnel_in_pieces_is_joined() {
    let mut decoder = Decoder::through_tunnels();
    let [first, second] = in_pieces(&ipv4(b"hola"), 1);
    assert!(decode(&mut decoder, 1, &second).is_none());
    let segment = decode(&mut decoder, 1, &first).unwrap();
    assert_eq!((&segment.payload[..], segment.tunnels), (&b"hola"[..], 1));
}

#[test]
fn nobody_has_so_many_tunnels() {
    let tunnels = |depth| {
        decode(&mut Decoder::through_tunnels(), 101, &nested(&ipv4(b"hola"), depth)).map(|s| s.tunnels)
    };
    assert_eq!([0, 1, 32, 33, 3000].map(tunnels), [Some(0), Some(1), Some(32), None, None]);
}

/// As on Linux's interface `any` at the end of a tunnel.
#[test]
fn the_same_packet_outside_of_its_tunnel_is_no_retransmission() {
    let packet = ipv4(b"hola");
    let (mut decoder, mut conversations) = (Decoder::through_tunnels(), Conversations::new());
    for frame in [nested(&packet, 1), packet.clone(), nested(&packet, 1)] {
        conversations.push(&decode(&mut decoder, 101, &frame).unwrap());
    }
    let told = conversations.get(0).unwrap();
    assert_eq!((conversations.len(), told.packets, told.to_server.payload), (1, 3, 4));
    assert_eq!((told.to_server.copies, told.retransmissions), (1, 1));
}

#[test]
fn what_only_looks_like_a_tunnel_is_none() {
    // VXLAN without a network's number, GENEVE of another version, GTP of its own control.
    for (port, header) in
        [(4789_u16, [0; 8]), (6081, [0x80, 0, 0x65, 0x58, 0, 0, 0, 0]), (2152, [0x30, 1, 0, 0, 0, 0, 0, 0])]
    {
        let frame = ethernet(0x0800, &ipv4(b"hola"));
        let datagram = [&port.to_be_bytes(), &port.to_be_bytes(), &[0; 4][..], &header, &frame].concat();
        let mut outer = ipv4(&datagram);
        // The datagram where TCP's header was.
        outer.splice(20..40, []);
        outer[9] = 17;
        assert!(decode(&mut Decoder::through_tunnels(), 101, &outer).is_none(), "port {port}");
    }
}
