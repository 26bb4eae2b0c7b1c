//! Captures that were compressed.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use netlab::capture::Reader;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::files::{Contents, ethernet, ipv4, pcap, read};

const PACKETS: u64 = 5000;

fn capture() -> Vec<u8> {
    pcap(&(0..PACKETS).map(|n| ethernet(0x0800, &ipv4(n.to_string().as_bytes()))).collect::<Vec<_>>())
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    compress_to_vec(data, CompressionLevel::Fastest)
}

type Compress = fn(&[u8]) -> Vec<u8>;
const FORMATS: [Compress; 2] = [gzip, zstd];

fn whole(contents: &Contents) -> bool {
    contents.packets == PACKETS && contents.damage.is_none() && contents.segments.len() == 5000
}

#[test]
fn gzip_and_zstd_are_read_as_if_they_were_not_there() {
    let capture = capture();
    for compress in FORMATS {
        let file = compress(&capture);
        assert!(file.len() < capture.len() / 2);
        assert!(whole(&read(&file[..])));
        // Several files, one after another, are one.
        let (first, second) = capture.split_at(100_000);
        assert!(whole(&read(&[compress(first), compress(second)].concat()[..])));
    }
    // Trailing zeros, and a zstd frame to be skipped.
    assert!(whole(&read(&[gzip(&capture), vec![0; 512]].concat()[..])));
    let passed_over = [&[0x52, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    assert!(whole(&read(&[&passed_over[..], &zstd(&capture), &passed_over].concat()[..])));
}

#[test]
fn what_is_cut_gives_what_is_there() {
    for compress in FORMATS {
        let file = compress(&capture());
        let contents = read(&file[..file.len() / 2]);
        assert!((500..4900).contains(&contents.packets), "{}", contents.packets);
        let damage = contents.damage.unwrap();
        assert_eq!(
            (damage.packets, &damage.why[..]),
            (contents.packets, "cannot read further: the compressed data ends early")
        );
        // Only the checksum at the end is missing: all packets are there, and the damage is reported.
        let contents = read(&file[..file.len() - 1]);
        assert_eq!((contents.packets, contents.damage.is_some()), (PACKETS, true));
    }
}

#[test]
fn a_wrong_checksum_is_told() {
    for compress in FORMATS {
        let mut file = compress(&capture());
        // In gzip the length comes last, preceded by the checksum.
        let at = file.len() - if file[0] == 0x1f { 6 } else { 2 };
        file[at] ^= 1;
        let contents = read(&file[..]);
        assert_eq!(contents.packets, PACKETS);
        assert_eq!(contents.damage.unwrap().why, "cannot read further: the compressed data is damaged");
    }
}

#[test]
fn what_is_compressed_must_be_a_capture() {
    for compress in FORMATS {
        let error = Reader::new(&compress(b"hola, mundo")[..], "x").unwrap_err();
        assert!(error.message.contains("is not a capture: it starts with 68 6f 6c 61"), "{}", error.message);
        assert!(Reader::new(&compress(&compress(&capture()))[..], "x").is_err(), "twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn changed_bytes_break_nothing(
        is_gzip: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let capture = &capture()[..20_000];
        let mut file = if is_gzip { gzip(capture) } else { zstd(capture) };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(mut reader) = Reader::new(&file[..], "test") {
            while reader.next(&mut netlab::capture::Names::default()).is_some() {}
        }
    }
}

#[test]
fn a_pipe_will_do() {
    for compress in FORMATS {
        let mut child = Command::new(env!("CARGO_BIN_EXE_netlab"))
            .args(["capture", "show", "-", "--limit", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&compress(&capture())).unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(out.contains("5000 packets, 1 TCP conversation\n"), "{out}");
    }
}
