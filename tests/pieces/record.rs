//! Captures that other programs can read, whatever happens to their writer.

use std::{
    fs, io,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use crate::support::skip::skipped;
use netlab::{
    capture::Interface,
    capture::RawPacket,
    capture::{Counts, Ending, Recorder},
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use pcap_parser::{Block, PcapBlockOwned, PcapNGReader, traits::PcapReaderIterator};

const NAMES: [(Ipv4Addr, &str); 2] =
    [(Ipv4Addr::new(198, 18, 0, 1), "server"), (Ipv4Addr::new(198, 18, 0, 2), "client1")];
const START: u64 = 1_763_865_600_123_456_789;

fn segments() -> [Interface; 2] {
    ["lan", "dmz"].map(|name| Interface { name: name.into(), device: format!("br-{name}") })
}

/// A SYN from client1 to server, `number` in its source port.
fn packet(number: u16) -> RawPacket {
    let mut data = Vec::new();
    let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([198, 18, 0, 2], [198, 18, 0, 1], 64)
        .tcp(40000 + number, 8001, u32::from(number), 64240)
        .syn();
    builder.write(&mut data, &vec![b'x'; usize::from(number % 5)]).unwrap();
    RawPacket {
        segment: number % 2,
        at: START + u64::from(number),
        original_len: u32::try_from(data.len()).unwrap(),
        data,
    }
}

fn record(path: &Path, count: u16) {
    let mut recorder = Recorder::create(path, &segments(), NAMES).unwrap();
    for number in 0..count {
        let comment = (number == 1).then_some("here it starts");
        recorder.packets([(&packet(number), comment)]).unwrap();
    }
    assert_eq!(recorder.count(), u64::from(count));
}

/// The data of every whole packet in a capture.
fn read_back(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let Ok(mut reader) = PcapNGReader::new(64 << 10, bytes) else { return packets };
    loop {
        match reader.next() {
            Ok((used, block)) => {
                if let PcapBlockOwned::NG(Block::EnhancedPacket(p)) = block {
                    packets.push(p.data[..p.caplen as usize].to_vec());
                }
                reader.consume(used);
            }
            Err(_) => return packets,
        }
    }
}

fn tool(argv: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(argv[0]).args(&argv[1..]).output() else {
        skipped(&format!("there is no {} here", argv[0]));
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&text));
    Some(String::from_utf8(text).unwrap())
}

#[test]
fn the_tools_of_the_field_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/a.pcapng");
    record(&path, 3);
    let file = path.to_str().unwrap();

    if let Some(text) = tool(&["tcpdump", "-nn", "-tt", "--nano", "-r", file]) {
        assert!(
            text.contains("1763865600.123456790 IP 198.18.0.2.40001 > 198.18.0.1.8001: Flags [S]"),
            "{text}"
        );
    }
    if let Some(text) = tool(&["capinfos", file]) {
        for part in
            ["pcapng", "nanoseconds (9)", "netlab ", "Name = br-lan", "Description = dmz", "packets:   3"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let fields = ["ip.src_host", "ip.dst_host", "frame.interface_name", "frame.comment", "frame.time_epoch"];
    let mut argv = vec!["tshark", "-r", file, "-N", "n", "-T", "fields"];
    argv.extend(fields.iter().flat_map(|f| ["-e", f]));
    if let Some(text) = tool(&argv) {
        assert!(text.contains("client1\tserver\tbr-dmz\there it starts\t1763865600.123456790"), "{text}");
    }
}

#[test]
fn cut_anywhere_it_keeps_every_whole_packet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcapng");
    record(&path, 4);
    let bytes = fs::read(&path).unwrap();
    let whole = read_back(&bytes);
    assert_eq!(whole, (0..4).map(|n| packet(n).data).collect::<Vec<_>>());
    // The length of the shortest file that has each packet complete.
    let counts: Vec<_> = (0..=bytes.len()).map(|end| read_back(&bytes[..end]).len()).collect();
    assert!(counts.is_sorted() && counts.first() == Some(&0) && counts.last() == Some(&4));
    let mut recorder_ends = Vec::new();
    for count in 0..=4 {
        let path = folder.path().join(format!("{count}.pcapng"));
        record(&path, count);
        recorder_ends.push(usize::try_from(fs::metadata(&path).unwrap().len()).unwrap());
    }
    for (count, end) in recorder_ends.into_iter().enumerate() {
        assert_eq!(counts[end], count, "the file that ends after packet {count}");
    }
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcapng");
    fs::write(&path, "mine").unwrap();
    let error = Recorder::create(&path, &segments(), NAMES).err().expect("an error");
    assert_eq!(error.message, format!("{} already exists", path.display()));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_packet_of_an_unknown_segment_is_refused() {
    let mut recorder = Recorder::to_stream(io::sink(), &segments()[..1], NAMES).unwrap();
    assert!(recorder.packets([(&packet(0), None), (&packet(1), None)]).is_err());
    recorder.packet(&packet(2)).unwrap();
}

#[test]
fn every_write_is_of_whole_blocks() {
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);
    impl io::Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let writes = Writes::default();
    let mut recorder = Recorder::to_stream(writes.clone(), &segments(), NAMES).unwrap();
    recorder.packets([(&packet(0), None), (&packet(1), Some("two in one"))]).unwrap();
    recorder.packet(&packet(2)).unwrap();
    let writes = writes.0.lock().unwrap().clone();
    let counts: Vec<_> = (1..=3).map(|n| read_back(&writes[..n].concat()).len()).collect();
    assert_eq!((writes.len(), counts), (3, vec![0, 2, 3]));
}

#[test]
fn a_full_disk_is_an_error_and_the_file_stays_whole() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("a small disk of one's own needs root");
    }
    // A mount namespace is a thread's own.
    std::thread::spawn(|| {
        let folder = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        mount(Some("none"), folder.path(), Some("tmpfs"), MsFlags::empty(), Some("size=16k")).unwrap();
        let path = folder.path().join("a.pcapng");
        let mut recorder = Recorder::create(&path, &segments(), NAMES).unwrap();
        let error = (0..1000).find_map(|n| recorder.packet(&packet(n)).err()).expect("the disk is full");
        let kept = recorder.count();
        assert_eq!(
            error.message,
            format!("cannot write {}; the {kept} packets recorded so far are in it", path.display())
        );
        assert!(error.hint.is_some_and(|h| h.contains("space")));
        let bytes = fs::read(&path).unwrap();
        assert_eq!(read_back(&bytes).len() as u64, kept);
        assert!(bytes.len() < 16 << 10, "the torn packet is gone");
    })
    .join()
    .unwrap();
}

#[test]
fn what_was_dropped_is_told_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcapng");
    let mut recorder = Recorder::create(&path, &segments(), NAMES).unwrap().reserving();
    recorder.packets([(&packet(0), None), (&packet(1), None)]).unwrap();
    assert_eq!(Ending::of(&path), None, "while it goes on");
    let counts = [Counts { received: 5, dropped: 3 }, Counts { received: 1 << 40, dropped: 1 }];
    recorder.end(&counts, Some("for a reason")).unwrap();
    let told = Ending::of(&path).expect("an ending");
    assert_eq!(told.counts, Counts { received: (1 << 40) + 5, dropped: 4 });
    assert_eq!(told.comment.as_deref(), Some("for a reason"));
    assert_eq!(read_back(&fs::read(&path).unwrap()).len(), 2);
    if let Some(text) = tool(&["capinfos", path.to_str().unwrap()]) {
        assert!(text.contains("Number of stat entries = 1"), "{text}");
    }
    // Whatever is cut off or inserted, it does not panic or search forever.
    let bytes = fs::read(&path).unwrap();
    for end in 0..bytes.len() {
        fs::write(&path, &bytes[..end]).unwrap();
        let _ = Ending::of(&path);
    }
    for at in bytes.len() - 120..bytes.len() {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            fs::write(&path, bytes).unwrap();
            let _ = Ending::of(&path);
        }
    }
}

#[test]
fn a_full_disk_has_room_for_the_reason() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("a small disk of one's own needs root");
    }
    // A mount namespace is a thread's own.
    std::thread::spawn(|| {
        let folder = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        mount(Some("none"), folder.path(), Some("tmpfs"), MsFlags::empty(), Some("size=64k")).unwrap();
        let path = folder.path().join("a.pcapng");
        let mut recorder = Recorder::create(&path, &segments(), NAMES).unwrap().reserving();
        let error = (0..9000).find_map(|n| recorder.packet(&packet(n)).err()).expect("the disk is full");
        let kept = recorder.count();
        let mut rest = fs::File::create(folder.path().join("rest")).unwrap();
        while io::Write::write_all(&mut rest, &[0; 512]).is_ok() {}
        recorder.end(&[Counts::default(); 2], Some(&error.with_causes())).unwrap();
        let comment = Ending::of(&path).and_then(|ending| ending.comment).expect("a comment");
        assert!(comment.contains("No space left on device"), "{comment}");
        assert_eq!(read_back(&fs::read(&path).unwrap()).len() as u64, kept);
    })
    .join()
    .unwrap();
}

#[test]
fn a_bounded_capture_says_that_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.pcapng");
    let mut recorder = Recorder::create(&path, &segments(), NAMES).unwrap().bounded(4096);
    let mut kept = 0;
    for number in 0..1000 {
        recorder.packet(&packet(number)).unwrap();
        kept += u64::from(!recorder.is_full());
    }
    assert!(recorder.is_full() && recorder.count() == kept && (1..1000).contains(&kept), "{kept}");
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() < 5000 && read_back(&bytes).len() as u64 == kept, "{} bytes", bytes.len());
    let end = String::from_utf8_lossy(&bytes[bytes.len() - 120..]).into_owned();
    assert!(end.contains("this capture is full"), "{end}");
    if let Some(text) = tool(&["capinfos", "-c", "-M", path.to_str().unwrap()]) {
        assert!(text.contains(&kept.to_string()), "{text}");
    }
    // Grades and captures are private.
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o077, 0);
}
