//! Link headers, and the layers between them and the TCP header.

use netlab::capture::{Decoder, Flags, Frame, LinkType, Segment};

use super::files::{ethernet, ipv4, ipv6, len};

/// The segment in some bytes of a link type; `frame_len` bytes passed on the wire.
fn decode(link: u16, frame_len: u32, data: &[u8]) -> Option<Segment<'static>> {
    let frame = Frame { at: 5, interface: 1, link: LinkType(link), len: frame_len, data };
    Decoder::new().segment(&frame).map(Segment::into_owned)
}

/// Checks that the bytes hold the segment of [`ipv4`] or [`ipv6`] with the data `hola`.
#[track_caller]
fn holds(link: u16, data: &[u8]) {
    let segment = decode(link, len(data), data).unwrap_or_else(|| panic!("no segment: {data:02x?}"));
    let v6 = segment.src.is_ipv6();
    let ends =
        if v6 { ["[fd00::3]:40312", "[fd00::2]:8007"] } else { ["198.18.0.3:40312", "198.18.0.2:8007"] };
    assert_eq!([segment.src, segment.dst].map(|end| end.to_string()), ends);
    assert_eq!((segment.seq, segment.ack, segment.window), (1000, 2000, 502));
    assert_eq!((segment.flags, segment.at, segment.interface), (Flags::PSH | Flags::ACK, 5, 1));
    assert_eq!((segment.len, &segment.payload[..], segment.frame_len), (4, &b"hola"[..], len(data)));
    assert!(!segment.is_snapped());
}

#[test]
fn ethernet_frames() {
    holds(1, &ethernet(0x0800, &ipv4(b"hola")));
    holds(1, &ethernet(0x86dd, &ipv6(b"hola")));
    // Frames shorter than 60 bytes are padded, and some captures include the checksum.
    holds(1, &[ethernet(0x0800, &ipv4(b"hola")), vec![0; 9]].concat());
}

#[test]
fn vlan_tags_one_or_several() {
    let inner = [&[0x08, 0x00], &ipv4(b"hola")[..]].concat();
    let tagged = [&[0, 7], &inner[..]].concat();
    holds(1, &ethernet(0x8100, &tagged));
    holds(1, &ethernet(0x88a8, &[&[0, 9, 0x81, 0x00], &tagged[..]].concat()));
    holds(1, &ethernet(0x9100, &[&[0, 9, 0x81, 0x00], &tagged[..]].concat()));
}

#[test]
fn linux_cooked() {
    let v1 = |kind: [u8; 2]| [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &kind[..]].concat();
    holds(113, &[v1([0x08, 0x00]), ipv4(b"hola")].concat());
    holds(113, &[v1([0x86, 0xdd]), ipv6(b"hola")].concat());
    holds(113, &[v1([0x81, 0x00]), vec![0, 7, 8, 0], ipv4(b"hola")].concat());
    let v2 = |kind: [u8; 2]| [&kind[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]].concat();
    holds(276, &[v2([0x08, 0x00]), ipv4(b"hola")].concat());
    holds(276, &[v2([0x86, 0xdd]), ipv6(b"hola")].concat());
}

#[test]
fn ip_without_a_link_layer() {
    for link in [12, 14, 101, 228] {
        holds(link, &ipv4(b"hola"));
    }
    for link in [12, 14, 101, 229] {
        holds(link, &ipv6(b"hola"));
    }
}

#[test]
fn loopback_in_either_byte_order() {
    for link in [0, 108] {
        for family in [2_u32.to_be_bytes(), 2_u32.to_le_bytes()] {
            holds(link, &[&family[..], &ipv4(b"hola")].concat());
        }
        for family in [10_u32, 24, 28, 30] {
            holds(link, &[&family.to_be_bytes()[..], &ipv6(b"hola")].concat());
            holds(link, &[&family.to_le_bytes()[..], &ipv6(b"hola")].concat());
        }
    }
    assert!(decode(0, 60, &[&[7, 0, 0, 0], &ipv4(b"hola")[..]].concat()).is_none(), "of no IP family");
}

#[test]
fn ipv4_options_and_offloaded_lengths() {
    let mut packet = ipv4(b"hola");
    packet[0] = 0x47;
    packet.splice(20..20, [1; 8]);
    let total = u8::try_from(packet.len()).unwrap();
    packet[3] = total;
    holds(228, &packet);
    // Before segmentation offload splits it, a packet of 64 KiB or more has no length.
    packet[3] = 0;
    holds(228, &packet);
}

#[test]
fn ipv6_extension_headers() {
    let plain = ipv6(b"hola");
    // Hop-by-hop, routing, destination options, authentication, then TCP.
    let extensions: [&[u8]; 4] = [
        &[43, 0, 1, 4, 0, 0, 0, 0],
        &[60, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[51, 0, 1, 4, 0, 0, 0, 0],
        &[6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    let mut packet = [&plain[..40], &extensions.concat(), &plain[40..]].concat();
    packet[6] = 0;
    let len = u16::try_from(packet.len() - 40).unwrap();
    packet[4..6].copy_from_slice(&len.to_be_bytes());
    holds(229, &packet);
    // A fragment header of a packet that is whole.
    let mut packet = [&plain[..40], &[6, 0, 0, 0, 0, 0, 0, 9], &plain[40..]].concat();
    packet[6] = 44;
    packet[5] += 8;
    holds(229, &packet);
}

#[test]
fn a_snapped_packet_keeps_its_length() {
    let whole = ethernet(0x0800, &ipv4(&[b'x'; 1000]));
    for captured in 14 + 20 + 20..whole.len() {
        let segment = decode(1, len(&whole), &whole[..captured]).unwrap();
        assert_eq!((segment.len, segment.frame_len), (1000, len(&whole)));
        assert_eq!(segment.payload.len(), captured - 54);
        assert!(segment.is_snapped());
    }
    // Less than a TCP header is less than a segment.
    for captured in 0..54 {
        assert!(decode(1, len(&whole), &whole[..captured]).is_none(), "{captured} bytes");
    }
}

#[test]
fn what_contradicts_itself_is_no_segment() {
    let tcp = 20;
    let lies: [(usize, u8, &str); 5] = [
        (0, 0x44, "an IP header shorter than one can be"),
        (0, 0x54, "IP version 5"),
        (9, 17, "another protocol"),
        (tcp + 12, 0x40, "a TCP header shorter than one can be"),
        (tcp + 12, 0xf0, "a TCP header longer than its packet"),
    ];
    for (at, byte, what) in lies {
        let mut packet = ipv4(b"hola");
        packet[at] = byte;
        assert!(decode(228, len(&packet), &packet).is_none(), "{what}");
    }
    for link in [2, 105, 147, u16::MAX] {
        assert!(decode(link, 44, &ipv4(b"hola")).is_none(), "link type {link}");
    }
}
