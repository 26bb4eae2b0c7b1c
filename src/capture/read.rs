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
use crate::{Error, Result, error::Context, observer::protocol::Nanos};

/// A capture file being read, pcap or pcapng.
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    format: Format,
    packets: u64,
    damage: Option<Damage>,
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
    /// Where the record begins that could not be read, in bytes from the file's start.
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
        Self::new(Box::new(file), &name.to_string())
    }
}

impl<R: Read> Reader<R> {
    /// Reads what `source` gives; `name` is for the error if that is no capture.
    pub fn new(source: R, name: &str) -> Result<Self> {
        let mut input = Input::new(source);
        let (format, stop) = match Self::format(&mut input, name)? {
            Ok(format) => (format, None),
            Err(stop) => (Format::Cut, Some(stop)),
        };
        let mut reader = Self { input, format, packets: 0, damage: None };
        reader.stopped(0, stop);
        Ok(reader)
    }

    fn format(input: &mut Input<R>, name: &str) -> Result<Result<Format, Stop>> {
        let first = match input.beginning(4) {
            Ok(first) => first,
            Err(Stop::End) => &[],
            Err(Stop::Damaged(why)) => return Err(Error::usage(format!("{name}: {why}"))),
        };
        let Ok(magic) = first.try_into() else {
            return Err(no_capture(name, first));
        };
        if magic == pcapng::MAGIC {
            return Ok(Ok(Format::Pcapng(pcapng::Section::default())));
        }
        match pcap::Magic::of(magic) {
            Some(magic) => Ok(pcap::Header::read(input, magic).map(Format::Pcap)),
            None => Err(no_capture(name, &magic)),
        }
    }

    /// The next frame; none at the end, or where the file is damaged. Names that come before it in
    /// the file are added to `names`.
    pub fn next(&mut self, names: &mut Names) -> Option<Frame<'_>> {
        if self.damage.is_some() {
            return None;
        }
        let mut offset = self.input.offset;
        let record = match &mut self.format {
            Format::Pcap(header) => header.next(&mut self.input),
            Format::Pcapng(section) => section.next(&mut self.input, &mut offset, names),
            Format::Cut => Err(Stop::End),
        };
        match record {
            Ok(Record { at, interface, link, len, taken, captured }) => {
                self.packets += 1;
                let data = &self.input.taken(taken)[..captured];
                Some(Frame { at, interface, link, len, data })
            }
            Err(Stop::End) if self.input.offset > offset => {
                self.stopped(offset, Some(Stop::Damaged("the file ends early".into())));
                None
            }
            Err(stop) => {
                self.stopped(offset, Some(stop));
                None
            }
        }
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
        if let Some(Stop::Damaged(why)) = stop {
            self.damage = Some(Damage { offset, packets: self.packets, why });
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { offset, packets, why } = self;
        write!(f, "damaged at byte {offset}, after packet {packets}: {why}")
    }
}

fn no_capture(name: &str, first: &[u8]) -> Error {
    let bytes: Vec<_> = first.iter().map(|byte| format!("{byte:02x}")).collect();
    match first {
        [] => Error::usage(format!("{name} is empty")).hint("a capture begins with a header"),
        [0x1f, 0x8b, ..] => Error::usage(format!("{name} is no capture but compressed (1f 8b)"))
            .hint("`gunzip -c FILE | netlab capture show -` reads it"),
        _ => Error::usage(format!("{name} is no capture: it begins with {}", bytes.join(" ")))
            .hint("pcap and pcapng files can be read"),
    }
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
