//! The formats of capture files and their variants.

use std::io::{self, Read};

use netlab::capture::{LinkType, Names, Ordered, Reader};

use super::files::{
    ORDERS, Order, block, ethernet, interface, ipv4, len, option, packet, pcap_header, pcap_record, read,
    section,
};

fn frame() -> Vec<u8> {
    ethernet(0x0800, &ipv4(b"hola"))
}

#[test]
fn pcap_in_every_variant() {
    // Microseconds, nanoseconds, and the longer records of a patched libpcap.
    let variants: [(u32, u64, &[u8]); 3] =
        [(0xa1b2_c3d4, 1000, &[]), (0xa1b2_3c4d, 1, &[]), (0xa1b2_cd34, 1000, &[0; 8])];
    for order in ORDERS {
        for (magic, unit, more) in variants {
            let record = pcap_record(order, 500, more, &frame());
            let file = [pcap_header(order, magic, 1), record.clone(), record].concat();
            let contents = read(&file[..]);
            assert_eq!((contents.segments.len(), contents.damage), (2, None), "{order:?} {magic:x}");
            assert_eq!(contents.segments[1].at, 7_000_000_000 + 500 * unit);
            assert_eq!(&contents.segments[1].payload[..], b"hola");
        }
    }
}

#[test]
fn pcap_link_types_ignore_the_checksum_bits() {
    let file = [
        pcap_header(Order::Little, 0xa1b2_c3d4, 0x5400_0065),
        pcap_record(Order::Little, 0, &[], &ipv4(b"hola")),
    ];
    assert_eq!(read(&file.concat()[..]).segments.len(), 1);
}

#[test]
fn pcapng_blocks_of_every_kind() {
    for order in ORDERS {
        let frame = frame();
        let len = order.u32(len(&frame));
        let file = [
            section(order),
            interface(order, 1, 0, &[option(order, 2, b"br0")]),
            // Statistics, a private block, and one longer than what is read at once.
            block(order, 5, &[order.u32(0), order.u64(0)]),
            block(order, 0x4000_0001, &[vec![9; 5]]),
            block(order, 0x0bad, &[vec![0; 1_000_000]]),
            packet(order, 0, 3_000_000, &frame),
            block(order, 3, &[len.clone(), frame.clone()]),
            block(
                order,
                2,
                &[order.u16(0), order.u16(0), order.u64(0)[..].into(), len.clone(), len, frame.clone()],
            ),
        ];
        let contents = read(&file.concat()[..]);
        assert_eq!((contents.packets, contents.damage), (3, None), "{order:?}");
        let times: Vec<_> = contents.segments.iter().map(|s| s.at).collect();
        assert_eq!(times, [3_000_000_000, 3_000_000_000, 0], "a simple packet has the time of the last");
    }
}

#[test]
fn pcapng_clocks() {
    let second = 1_700_000_000_u64;
    // Resolution, ticks, and the same in nanoseconds.
    let clocks: [(u8, u64, u64); 7] = [
        (0, second, second * 1_000_000_000),
        (3, second * 1000 + 5, second * 1_000_000_000 + 5_000_000),
        (6, second * 1_000_000 + 5, second * 1_000_000_000 + 5000),
        (9, second * 1_000_000_000 + 5, second * 1_000_000_000 + 5),
        (12, 5_999, 5),
        (0x8a, second * 1024 + 512, second * 1_000_000_000 + 500_000_000),
        (0x7f, u64::MAX, 0),
    ];
    for order in ORDERS {
        for (resolution, ticks, nanos) in clocks {
            for shift in [0, 3_600, -10] {
                let options = [
                    option(order, 9, &[resolution]),
                    option(order, 14, &order.u64(i64::cast_unsigned(shift))),
                    option(order, 0, &[]),
                ];
                let file =
                    [section(order), interface(order, 1, 0, &options), packet(order, 0, ticks, &frame())];
                let expected = nanos.saturating_add_signed(shift * 1_000_000_000);
                assert_eq!(read(&file.concat()[..]).segments[0].at, expected, "{resolution} {shift}");
            }
        }
    }
}

#[test]
fn pcapng_sections_and_interfaces_of_their_own() {
    let (little, big) = (Order::Little, Order::Big);
    let file = [
        section(little),
        interface(little, 1, 0, &[]),
        interface(little, 101, 0, &[option(little, 9, &[9])]),
        packet(little, 1, 77, &ipv4(b"hola")),
        packet(little, 0, 77, &frame()),
        section(big),
        interface(big, 113, 0, &[]),
        packet(big, 0, 5, &[vec![0; 14], vec![8, 0], ipv4(b"hola")].concat()),
    ];
    let contents = read(&file.concat()[..]);
    let seen: Vec<_> = contents.segments.iter().map(|s| (s.interface, s.at)).collect();
    assert_eq!((seen, contents.damage), (vec![(1, 77), (0, 77_000), (0, 5000)], None));
}

#[test]
fn a_simple_packet_is_cut_at_the_interface_s_length() {
    let frame = frame();
    let body = [Order::Little.u32(len(&frame)), frame[..56].to_vec()];
    let file = [section(Order::Little), interface(Order::Little, 1, 56, &[]), block(Order::Little, 3, &body)];
    let contents = read(&file.concat()[..]);
    assert_eq!((contents.segments[0].len, contents.segments[0].payload.len()), (4, 2));
    assert_eq!(contents.segments[0].frame_len, len(&frame));
}

#[test]
fn pcapng_names() {
    for order in ORDERS {
        let v6 = [&[0xfd][..], &[0; 14], &[2]].concat();
        let records = [
            option(order, 1, b"\xc6\x12\0\x03client1\0alias\0"),
            option(order, 2, &[&v6[..], b"server\0"].concat()),
            option(order, 1, b"\xc6\x12\0\x04\x1b[2Jevil\0"),
            option(order, 7, b"of no known kind"),
            option(order, 1, b"\xc6"),
            option(order, 0, &[]),
        ];
        let names = read(&[section(order), block(order, 4, &records)].concat()[..]).names;
        assert_eq!(names.get([198, 18, 0, 3].into()), Some("client1"));
        assert_eq!(names.get("fd00::2".parse().unwrap()), Some("server"));
        assert_eq!(names.get([198, 18, 0, 4].into()), Some("??2Jevil"), "no terminal obeys it");
        assert_eq!(names.endpoint("198.18.0.9:80".parse().unwrap()), "198.18.0.9.80");
    }
}

/// Returns one byte at a time, as a slow pipe may.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(1);
        self.0.read(&mut buffer[..len])
    }
}

#[test]
fn it_matters_not_how_the_bytes_come() {
    let file =
        [section(Order::Big), interface(Order::Big, 1, 0, &[]), packet(Order::Big, 0, 9, &frame())].concat();
    assert_eq!(read(Trickle(&file)).segments.len(), 1);
    let mut reader = Reader::new(Trickle(&file), "test").unwrap();
    assert_eq!(reader.next(&mut Names::default()).unwrap().link, LinkType::ETHERNET);
}

#[test]
fn what_is_no_capture_is_refused_with_its_first_bytes() {
    let refused = |bytes: &[u8]| Reader::new(bytes, "x.pcap").unwrap_err();
    let error = refused(b"\x7fELF and so on");
    assert_eq!(error.message, "x.pcap is not a capture: it starts with 7f 45 4c 46");
    assert_eq!(error.kind, netlab::Kind::Usage);
    assert_eq!(refused(b"ab").message, "x.pcap is not a capture: it starts with 61 62");
    assert_eq!(refused(b"").message, "x.pcap is empty");
    assert!(refused(b"\x1f\x8b\x08\0").message.contains("the compressed data ends early"));
    for (tool, bytes) in [("xz", &b"\xfd7zXZ\0"[..]), ("bzip2", b"BZh9"), ("lz4", b"\x04\x22\x4d\x18")] {
        assert!(refused(bytes).hint.unwrap().contains(&format!("`{tool} -dc FILE | netlab capture show -`")));
    }
}

/// As written by a recorder that collects packets for one interface, then for the other.
#[test]
fn frames_of_several_interfaces_come_in_order_of_time() {
    let order = Order::Little;
    let mut file = vec![section(order), interface(order, 1, 0, &[]), interface(order, 1, 0, &[])];
    for piece in 0..3 {
        for number in [0, 1] {
            let ticks = (0..500).map(|n| 1000 * piece + 2 * n + u64::from(number));
            file.extend(ticks.map(|ticks| packet(order, number, ticks, &frame())));
        }
    }
    let file = file.concat();
    let mut frames = Ordered::new(Reader::new(&file[..], "test").unwrap());
    let (mut names, mut times) = (Names::default(), Vec::new());
    while let Some(frame) = frames.next(&mut names) {
        times.push((frame.at, frame.interface));
    }
    assert_eq!(times, (0..3000).map(|n| (1000 * n, (n % 2) as u32)).collect::<Vec<_>>());
    assert!(frames.reader.damage().is_none());

    // The later damage is known, and everything before it is returned.
    let cut = &file[..file.len() - 3];
    let mut frames = Ordered::new(Reader::new(cut, "test").unwrap());
    let mut count = 0;
    while frames.next(&mut names).is_some() {
        count += 1;
    }
    assert_eq!((count, frames.reader.damage().unwrap().packets), (2999, 2999));
}
