//! Reads capture files in one pass, whichever tool wrote them and however they end.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde::Serialize;

use super::{
    Frame, Names,
    input::{Input, Stop},
    packet::Record,
    pcap, pcapng,
};
use crate::{Error, Result, error::Context};

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
    /// Whether more may come later, because it is not a regular file.
    live: bool,
}

#[derive(Debug)]
enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
    /// Unknown: the file ended within its header.
    Cut,
}

/// The damage in a file, after the part that could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Start of the unreadable record, in bytes from the start of the decompressed file.
    pub offset: u64,
    /// How many packets came before.
    pub packets: u64,
    /// Why it could not be read.
    pub why: String,
}

impl Reader<Box<dyn Read>> {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        if path == Path::new("-") {
            return Self::new(Box::new(io::stdin()), "standard input");
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
    /// Reads a capture from `source`, which may be compressed with gzip or zstd; `name` is used in errors.
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

    /// Returns the next frame; `None` at the end, or if the file is damaged there. Adds the names that
    /// come before it in the file to `names`.
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

    /// Returns the frame read last.
    pub(super) fn frame(&self) -> Option<Frame<'_>> {
        let Record { at, interface, link, len, taken, captured } = self.last?;
        Some(Frame { at, interface, link, len, data: &self.input.taken(taken)[..captured] })
    }

    /// Returns how many interfaces the file has described so far.
    pub fn interfaces(&self) -> usize {
        match &self.format {
            Format::Pcapng(section) => section.interfaces(),
            Format::Pcap(_) | Format::Cut => 1,
        }
    }

    /// Returns the name of its source, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether everything received so far was read, so that waiting for the next frame may take long.
    pub fn is_drained(&self) -> bool {
        self.live && self.input.is_drained()
    }

    /// Returns how many frames were read.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Returns the damage in the file, once [`Reader::next`] has returned `None`.
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
        [] => return Error::usage(format!("{name}{inside} is empty")).hint("a capture starts with a header"),
        [0xfd, b'7', b'z', b'X'] => "xz",
        [b'B', b'Z', b'h', _] => "bzip2",
        [0x04, 0x22, 0x4d, 0x18] => "lz4",
        _ => {
            return Error::usage(format!(
                "{name}{inside} is not a capture: it starts with {}",
                bytes.join(" ")
            ))
            .hint("name a pcap or pcapng file");
        }
    };
    Error::usage(format!("{name}{inside} is compressed with {unpack}"))
        .hint(format!("`{unpack} -dc FILE | netlab capture show -` reads it"))
}
