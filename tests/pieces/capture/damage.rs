//! Files that are cut, lie or are nonsense: whatever can be read is read, and nothing breaks.

use std::{cell::Cell, io};

use netlab::capture::{Conversations, Damage, Decoder, Reader, show::Lines, table};
use proptest::prelude::*;

use super::files::{
    Order, block, ethernet, interface, ipv4, ipv6, len, option, packet, pcap, pcap_header, read, section,
};

const LITTLE: Order = Order::Little;

fn frames() -> Vec<Vec<u8>> {
    vec![ethernet(0x0800, &ipv4(b"hola")), ethernet(0x86dd, &ipv6(b"adios"))]
}

fn pcapng() -> Vec<u8> {
    let mut file = [section(LITTLE), interface(LITTLE, 1, 0, &[option(LITTLE, 9, &[9])])].concat();
    file.extend(block(LITTLE, 4, &[option(LITTLE, 1, b"\xc6\x12\0\x03client1\0")]));
    file.extend(frames().iter().flat_map(|frame| packet(LITTLE, 0, 5, frame)));
    file
}

#[test]
fn a_cut_file_gives_what_is_there() {
    for (file, header) in [(pcap(&frames()), 24), (pcapng(), 0)] {
        let whole = read(&file[..]);
        assert_eq!((whole.packets, &whole.damage), (2, &None));
        for cut in 4..file.len() {
            let contents = read(&file[..cut]);
            assert!(contents.packets < 2, "cut at {cut}");
            // Between two records a file may just end.
            if let Some(Damage { offset, packets, why }) = contents.damage {
                assert!(offset < cut as u64 && packets == contents.packets);
                assert!(why.contains("early"), "{why}");
            } else {
                assert!(cut >= header);
            }
        }
    }
}

#[test]
fn damage_names_its_place() {
    let frames = frames();
    let mut file = pcap(&frames);
    let second = 24 + 16 + frames[0].len();
    file[second + 8..second + 12].fill(0xff);
    let damage = read(&file[..]).damage.unwrap();
    assert_eq!((damage.offset, damage.packets), (second as u64, 1));
    assert_eq!(
        damage.to_string(),
        format!(
            "damaged at byte {second}, after packet 1: a packet of 4294967295 captured bytes, more than any capture has"
        )
    );
}

#[test]
fn blocks_that_lie() {
    let begin = || vec![section(LITTLE), interface(LITTLE, 1, 0, &[])];
    let sized = |len: u32| [LITTLE.u32(6), LITTLE.u32(len), vec![0; 40]].concat();
    let cases: [(Vec<u8>, &str); 8] = [
        (sized(8), "impossible"),
        (sized(13), "impossible"),
        (sized(u32::MAX - 3), "more than any packet has"),
        (sized(1 << 20), "early"),
        (sized(16), "at its end"),
        (packet(LITTLE, 1, 0, &frames()[0]), "is not described"),
        (block(LITTLE, 6, &[vec![0; 12], LITTLE.u32(64), vec![0; 44]]), "in a shorter block"),
        (block(LITTLE, 6, &[vec![0; 8]]), "too short"),
    ];
    for (lie, why) in cases {
        let file = [begin(), vec![packet(LITTLE, 0, 1, &frames()[0]), lie]].concat().concat();
        let contents = read(&file[..]);
        let damage = contents.damage.unwrap_or_else(|| panic!("not noticed: {why}"));
        assert_eq!(contents.packets, 1, "{why}");
        assert!(damage.why.contains(why), "{} is not {why}", damage.why);
    }
    let lost = [LITTLE.u32(0x0a0d_0d0a), LITTLE.u32(28), vec![0; 20]].concat();
    assert!(read(&lost[..]).damage.unwrap().why.contains("byte order"));
}

#[test]
fn a_long_block_of_no_interest_may_not_end_early_unnoticed() {
    for missing in [1, 4, 5] {
        let mut file = section(LITTLE);
        file.extend(block(LITTLE, 0x0bad, &[vec![0; 512 * 1024]]));
        file.truncate(file.len() - missing);
        assert!(read(&file[..]).damage.is_some(), "{missing} bytes missing");
    }
    // So that a chunk ends exactly where the file does.
    let mut file = [section(LITTLE), LITTLE.u32(0x0bad), LITTLE.u32(1 << 30)].concat();
    file.resize(512 * 1024, 0);
    assert!(read(&file[..]).damage.is_some());
}

#[test]
fn as_much_is_missing_as_the_block_says() {
    let long = [section(LITTLE), LITTLE.u32(0x0bad), LITTLE.u32(u32::MAX - 3), vec![0; 60]].concat();
    assert_eq!(read(&long[..]).damage.unwrap().why, "the file ends 4294967224 bytes early");
    let mut short = [section(LITTLE), block(LITTLE, 0x0bad, &[vec![0; 8]])].concat();
    short.pop();
    assert_eq!(read(&short[..]).damage.unwrap().why, "the file ends 1 byte early");
}

/// Libpcap and tshark reject them, too.
#[test]
fn other_versions_of_the_formats_are_not_guessed_at() {
    let mut old = pcap(&frames());
    old[4] = 1;
    let damage = read(&old[..]).damage.unwrap();
    assert_eq!(damage.why, "version 1.4 of the format is unknown");
    let mut new = pcapng();
    new[12] = 2;
    let damage = read(&new[..]).damage.unwrap();
    assert_eq!((damage.packets, &damage.why[..25]), (0, "a section of version 2 of"));
}

/// Fails after what it has.
struct Breaks<'a>(&'a [u8]);

impl io::Read for Breaks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match io::Read::read(&mut self.0, buffer)? {
            0 => Err(io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_source_that_fails_is_told_with_its_reason() {
    let contents = read(Breaks(&pcap_header(LITTLE, 0xa1b2_c3d4, 1)));
    assert!(contents.damage.unwrap().why.contains("the disk is gone"));
}

/// Does everything that can be done with a file; what matters is that it returns.
fn use_up(file: &[u8]) {
    let Ok(mut reader) = Reader::new(file, "test") else { return };
    let (mut decoder, mut lines) = (Decoder::through_tunnels(), Lines::default());
    while let Some(frame) = reader.next(&mut lines.names) {
        let line = match decoder.segment(&frame) {
            Some(segment) => lines.segment(&segment),
            None => lines.frame(&frame),
        };
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let mut written = Vec::new();
    table::write(&mut written, &lines.conversations, &lines.names, usize::MAX).unwrap();
    assert_eq!(String::from_utf8(written).unwrap().lines().count(), 2 + lines.conversations.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn changed_bytes_break_nothing(
        is_pcap: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut: prop::sample::Index,
    ) {
        let mut file = if is_pcap { pcap(&frames()) } else { pcapng() };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        use_up(&file);
        use_up(&file[..cut.index(file.len())]);
    }

    #[test]
    fn any_bytes_are_some_frame(
        link in prop::sample::select(vec![0_u32, 1, 12, 101, 108, 113, 228, 229, 276, 9]),
        bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let size = LITTLE.u32(len(&bytes));
        let record = [LITTLE.u64(0), size.clone(), size, bytes];
        use_up(&[vec![pcap_header(LITTLE, 0xa1b2_c3d4, link)], record.to_vec()].concat().concat());
    }

    #[test]
    fn any_segments_are_some_conversation(
        rows in prop::collection::vec((any::<bool>(), 0..64_u16, any::<[u32; 2]>(), 0..3_u32), 0..40),
    ) {
        let mut contents = read(&pcap(&frames()[..1])[..]);
        let mut segment = contents.segments.remove(0);
        let mut conversations = Conversations::new();
        let rows_len = rows.len() as u64;
        for (back, flags, [seq, ack], interface) in rows {
            if back {
                std::mem::swap(&mut segment.src, &mut segment.dst);
            }
            // Numbers near each other and near the wrap, so that they meet.
            (segment.seq, segment.ack) = ((seq % 16).wrapping_sub(8), (ack % 16).wrapping_sub(8));
            (segment.flags.0, segment.interface) = (flags, interface);
            conversations.push(&segment);
        }
        let packets: u64 = conversations.iter().map(|c| c.packets).sum();
        prop_assert_eq!(packets, rows_len);
        let flows: u64 = conversations.iter().map(|c| c.to_server.packets + c.to_client.packets).sum();
        prop_assert_eq!(flows, rows_len);
    }
}

/// Returns what it has, and remembers the largest buffer it was offered.
struct Room<'a>(&'a [u8], &'a Cell<usize>);

impl io::Read for Room<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.set(self.1.get().max(buffer.len()));
        io::Read::read(&mut self.0, buffer)
    }
}

#[test]
fn room_is_made_for_what_is_there_and_not_for_what_is_claimed() {
    let most = Cell::new(0);
    let file = [section(LITTLE), LITTLE.u32(6), LITTLE.u32(16 << 20), vec![0; 1000]].concat();
    assert!(read(Room(&file, &most)).damage.unwrap().why.contains("early"));
    assert!(most.get() <= 1 << 20, "{} bytes", most.get());
}
