//! Datagrams in fragments.

use netlab::capture::{Decoder, Frame, LinkType, Segment};

use super::files::{ipv4, ipv6, len};

const DATA: [u8; 100] = [b'x'; 100];

/// The fragments of the IPv4 packet, each with this many bytes of its payload except the last.
pub fn pieces_v4(packet: &[u8], size: usize, id: u8) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(20);
    let count = payload.len().div_ceil(size);
    let piece = |(n, part): (usize, &[u8])| {
        let mut piece = [header, part].concat();
        let len = u16::try_from(piece.len()).unwrap();
        piece[2..4].copy_from_slice(&len.to_be_bytes());
        piece[5] = id;
        let more = if n + 1 < count { 0x2000 } else { 0 };
        piece[6..8].copy_from_slice(&(u16::try_from(n * size / 8).unwrap() | more).to_be_bytes());
        piece
    };
    payload.chunks(size).enumerate().map(piece).collect()
}

pub fn pieces_v6(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(40);
    let count = payload.len().div_ceil(size);
    let piece = |(n, part): (usize, &[u8])| {
        let offset = u16::try_from(n * size).unwrap() | u16::from(n + 1 < count);
        let mut piece = [header, &[6, 0], &offset.to_be_bytes(), &[0, 0, 0, 9], part].concat();
        piece[6] = 44;
        piece[5] = u8::try_from(piece.len() - 40).unwrap();
        piece
    };
    payload.chunks(size).enumerate().map(piece).collect()
}

fn frame(data: &[u8], at: u64) -> Frame<'_> {
    Frame { at, interface: 0, link: LinkType::RAW, len: len(data), data }
}

/// The result of each fragment.
fn join(pieces: &[Vec<u8>]) -> Vec<Option<Segment<'static>>> {
    let mut decoder = Decoder::new();
    pieces.iter().map(|piece| decoder.segment(&frame(piece, 0)).map(Segment::into_owned)).collect()
}

#[test]
fn a_datagram_is_told_when_it_is_whole() {
    for pieces in [pieces_v4(&ipv4(&DATA), 24, 1), pieces_v6(&ipv6(&DATA), 24)] {
        assert_eq!(pieces.len(), 5);
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 1, 3]] {
            let segments = join(&order.map(|n| pieces[n].clone()));
            assert!(segments[..4].iter().all(Option::is_none), "{order:?}");
            let segment = segments[4].as_ref().unwrap();
            assert_eq!((segment.src.port(), segment.dst.port(), segment.len), (40_312, 8007, 100));
            assert_eq!(&segment.payload[..], DATA);
            assert_eq!(segment.frame_len, len(&pieces[order[4]]));
        }
    }
}

#[test]
fn datagrams_do_not_mix() {
    let (one, two) = (pieces_v4(&ipv4(&DATA), 64, 1), pieces_v4(&ipv4(&[b'y'; 100]), 64, 2));
    let segments = join(&[one[0].clone(), two[1].clone(), two[0].clone(), one[1].clone()]);
    let data: Vec<_> = segments.iter().map(|s| s.as_ref().map(|s| s.payload[0])).collect();
    assert_eq!(data, [None, None, Some(b'y'), Some(b'x')]);
}

#[test]
fn a_piece_sent_twice_or_overlapping_changes_nothing() {
    let pieces = pieces_v4(&ipv4(&DATA), 40, 1);
    let wider = pieces_v4(&ipv4(&DATA), 80, 1);
    let segments = join(&[pieces[0].clone(), pieces[0].clone(), wider[0].clone(), pieces[2].clone()]);
    assert!(segments[..3].iter().all(Option::is_none));
    assert_eq!(&segments[3].as_ref().unwrap().payload[..], DATA);
}

#[test]
fn a_number_used_again_much_later_is_another_datagram() {
    let pieces = pieces_v4(&ipv4(&DATA), 64, 1);
    let mut decoder = Decoder::new();
    assert!(decoder.segment(&frame(&pieces[0], 0)).is_none());
    assert!(decoder.segment(&frame(&pieces[1], 61_000_000_000)).is_none());
}

#[test]
fn a_snapped_first_piece_names_the_ports_and_later_ones_are_not_misread() {
    let pieces = pieces_v4(&ipv4(&DATA), 64, 1);
    let snapped: Vec<_> = pieces.iter().map(|piece| piece[..50.min(piece.len() - 1)].to_vec()).collect();
    let segments = join(&snapped);
    assert_eq!(segments[0].as_ref().unwrap().src.port(), 40_312);
    assert!(segments[1].is_none());
}

#[test]
fn pieces_that_never_meet_are_forgotten() {
    let mut decoder = Decoder::new();
    let first = |id: u16| {
        let mut piece = pieces_v4(&ipv4(&DATA), 64, 0).swap_remove(0);
        piece[4..6].copy_from_slice(&id.to_be_bytes());
        piece
    };
    for id in 0..1000 {
        assert!(decoder.segment(&frame(&first(id), 0)).is_none());
    }
    let last = pieces_v4(&ipv4(&DATA), 64, 0).swap_remove(1);
    assert!(decoder.segment(&frame(&last, 0)).is_none(), "number 0 is long gone");
}
