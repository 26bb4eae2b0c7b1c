//! Reads capture files in one pass, whoever wrote them and however they end.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde::Serialize;

use super::{
    Frame, LinkType, Names,
    input::{Input, Stop, damaged},
    pcap, pcapng,
};
use crate::{Error, Result, error::Context, time::Nanos};

/// A capture file being read, pcap or pcapng.
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    name: String,
    format: Format,
    packets: u64,
    damage: Option<Damage>,
    /// The frame read last.
    last: Option<Record>,
    /// Whether more may come later: it is no plain file.
    live: bool,
}

#[derive(Debug)]
enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
    /// Neither is known: the file ended before its header did.
    Cut,
}

/// What was wrong with a file, after what could be read of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Where the record begins that could not be read, in bytes from the start of the file, decompressed.
    pub offset: u64,
    /// How many packets came before.
    pub packets: u64,
    /// Why it could not be read.
    pub why: String,
}

/// A packet's own fields; its bytes are the last ones that the input gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub at: Nanos,
    pub interface: u32,
    pub link: LinkType,
    pub len: u32,
    /// How far back in the bytes taken its own begin, and how many they are.
    pub taken: usize,
    pub captured: usize,
}

impl Reader<Box<dyn Read>> {
    /// Opens a file; `-` is the standard input.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        if path == Path::new("-") {
            return Self::new(Box::new(io::stdin()), "the standard input");
        }
        let file = File::open(path).or_usage(|| format!("cannot open {name}"))?;
        if file.metadata().is_ok_and(|m| m.is_dir()) {
            return Err(Error::usage(format!("{name} is a folder")).hint("name a file in it"));
        }
        let live = !file.metadata().is_ok_and(|m| m.is_file());
        Ok(Self { live, ..Self::new(Box::new(file), &name.to_string())? })
    }
}

impl<R: Read> Reader<R> {
    /// Reads what `source` gives, also if it is compressed with gzip or zstd; `name` is for the error if that is no capture.
    pub fn new(source: R, name: &str) -> Result<Self> {
        let mut input = Input::new(source).or_usage(|| format!("cannot read {name}"))?;
        let (format, stop) = match Self::format(&mut input, name)? {
            Ok(format) => (format, None),
            Err(stop) => (Format::Cut, Some(stop)),
        };
        let mut reader =
            Self { input, name: name.to_owned(), format, packets: 0, damage: None, last: None, live: true };
        reader.stopped(0, stop);
        Ok(reader)
    }

    fn format(input: &mut Input<R>, name: &str) -> Result<Result<Format, Stop>> {
        let first = match input.beginning(4) {
            Ok(first) => first,
            Err(Stop::End | Stop::Early(_)) => &[],
            Err(Stop::Damaged(why)) => return Err(Error::usage(format!("{name}: {why}"))),
        };
        let Ok(magic) = first.try_into() else {
            let first = first.to_owned();
            return Err(no_capture(name, &first, input.compression()));
        };
        if magic == pcapng::MAGIC {
            return Ok(Ok(Format::Pcapng(pcapng::Section::default())));
        }
        match pcap::Magic::of(magic) {
            Some(magic) => Ok(pcap::Header::read(input, magic).map(Format::Pcap)),
            None => Err(no_capture(name, &magic, input.compression())),
        }
    }

    /// The next frame; none at the end, or where the file is damaged. Names that come before it in
    /// the file are added to `names`.
    pub fn next(&mut self, names: &mut Names) -> Option<Frame<'_>> {
        if self.advance(names) { self.frame() } else { None }
    }

    /// Reads the next frame, if there is one.
    pub(super) fn advance(&mut self, names: &mut Names) -> bool {
        self.last = None;
        if self.damage.is_some() {
            return false;
        }
        let mut offset = self.input.offset;
        let record = match &mut self.format {
            Format::Pcap(header) => header.next(&mut self.input),
            Format::Pcapng(section) => section.next(&mut self.input, &mut offset, names),
            Format::Cut => Err(Stop::End),
        };
        match record {
            Ok(record) => {
                self.packets += 1;
                self.last = Some(record);
            }
            Err(stop) => self.stopped(offset, Some(stop)),
        }
        self.last.is_some()
    }

    /// The frame read last.
    pub(super) fn frame(&self) -> Option<Frame<'_>> {
        let Record { at, interface, link, len, taken, captured } = self.last?;
        Some(Frame { at, interface, link, len, data: &self.input.taken(taken)[..captured] })
    }

    /// How many interfaces the file has named so far.
    pub fn interfaces(&self) -> usize {
        match &self.format {
            Format::Pcapng(section) => section.interfaces(),
            Format::Pcap(_) | Format::Cut => 1,
        }
    }

    /// What it reads, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether everything that has come was read, and the next frame may take its time.
    pub fn is_drained(&self) -> bool {
        self.live && self.input.is_drained()
    }

    /// How many frames were read.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// What was wrong with the file, once [`Reader::next`] gave none.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    fn stopped(&mut self, offset: u64, stop: Option<Stop>) {
        let why = match stop {
            None | Some(Stop::End) => return,
            Some(Stop::Early(1)) => "the file ends 1 byte early".into(),
            Some(Stop::Early(missing)) => format!("the file ends {missing} bytes early"),
            Some(Stop::Damaged(why)) => why,
        };
        self.damage = Some(Damage { offset, packets: self.packets, why });
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { offset, packets, why } = self;
        write!(f, "damaged at byte {offset}, after packet {packets}: {why}")
    }
}

fn no_capture(name: &str, first: &[u8], compression: Option<&str>) -> Error {
    let inside = compression.map_or(String::new(), |how| format!(", decompressed with {how},"));
    let bytes: Vec<_> = first.iter().map(|byte| format!("{byte:02x}")).collect();
    let unpack = match first {
        [] => return Error::usage(format!("{name}{inside} is empty")).hint("a capture begins with a header"),
        [0xfd, b'7', b'z', b'X'] => "xz",
        [b'B', b'Z', b'h', _] => "bzip2",
        [0x04, 0x22, 0x4d, 0x18] => "lz4",
        _ => {
            return Error::usage(format!("{name}{inside} is no capture: it begins with {}", bytes.join(" ")))
                .hint("pcap and pcapng files can be read");
        }
    };
    Error::usage(format!("{name}{inside} is compressed with {unpack}"))
        .hint(format!("`{unpack} -dc FILE | netlab capture show -` reads it"))
}

/// A packet's length must make sense before its bytes are asked for.
pub(super) fn check_captured(captured: u32) -> Result<usize, Stop> {
    /// What libpcap holds for the longest packet of any interface.
    const MAXIMUM_SNAPLEN: u32 = 262_144;
    if captured > MAXIMUM_SNAPLEN {
        return damaged(format!("a packet of {captured} captured bytes, more than any capture has"));
    }
    Ok(captured as usize)
}
