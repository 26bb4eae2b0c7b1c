//! Writes captures as pcapng (draft-ietf-opsawg-pcapng), so that the file is whole at every moment.
//!
//! Blocks are made in memory and go to the kernel whole: nothing waits in this program's memory, and
//! what was recorded stays readable whenever and however the program ends.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::Ipv4Addr,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{Error, Result, error::Context, observer::protocol::RawPacket, runtime::WatchedSegment};

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const NAME_RESOLUTION: u32 = 4;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// What is told at the end of a capture that is full.
const FULL: &str = "netlab: this capture is full, and packets from now on are not in it";

/// `LINKTYPE_ETHERNET`.
const ETHERNET: u16 = 1;
/// The most that a packet record of ours holds, in bytes.
const SNAPLEN: u32 = 262_144;

/// A capture being written.
pub struct Recorder {
    out: Out,
    interfaces: usize,
    /// Packets written so far.
    packets: u64,
    blocks: Vec<u8>,
    /// How many bytes there may be, if that is bounded.
    most: Option<u64>,
    /// Whether there would have been more.
    full: bool,
}

enum Out {
    /// A file, and how much of it are whole blocks.
    File {
        file: File,
        path: PathBuf,
        whole: u64,
    },
    Stream(Box<dyn Write + Send>),
}

impl Recorder {
    /// Starts a new file, with the folders that lead to it. A file that is there already is left alone.
    ///
    /// `names` are the hosts' names by address; readers show them in place of the addresses.
    pub fn create<'n>(
        path: &Path,
        segments: &[WatchedSegment],
        names: impl IntoIterator<Item = (Ipv4Addr, &'n str)>,
    ) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).or_lab(|| format!("cannot make folder {}", folder.display()))?;
        }
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| {
                match e.kind() {
                    io::ErrorKind::AlreadyExists => {
                        Error::usage(format!("{} exists already", path.display()))
                            .hint("captures are never overwritten: remove it or choose another name")
                    }
                    _ => Error::lab(format!("cannot create {}", path.display())).caused_by(e),
                }
            })?;
        Self::begin(Out::File { file, path: path.to_owned(), whole: 0 }, segments, names)
    }

    /// Writes to a stream, such as a pipe to Wireshark. Each write is of whole blocks.
    pub fn to_stream<'n>(
        stream: impl Write + Send + 'static,
        segments: &[WatchedSegment],
        names: impl IntoIterator<Item = (Ipv4Addr, &'n str)>,
    ) -> Result<Self> {
        Self::begin(Out::Stream(Box::new(stream)), segments, names)
    }

    fn begin<'n>(
        out: Out,
        segments: &[WatchedSegment],
        names: impl IntoIterator<Item = (Ipv4Addr, &'n str)>,
    ) -> Result<Self> {
        let mut blocks = Vec::new();
        section_header(&mut blocks);
        for segment in segments {
            interface(&mut blocks, segment);
        }
        name_resolution(&mut blocks, names);
        let mut recorder =
            Self { out, interfaces: segments.len(), packets: 0, blocks, most: None, full: false };
        recorder.flush(0)?;
        Ok(recorder)
    }

    /// Bounds the file: once a packet would make it longer than this, in bytes, it says that it is full, and
    /// nothing more is recorded.
    #[must_use]
    pub fn bounded(mut self, most: u64) -> Self {
        self.most = Some(most);
        self
    }

    /// Whether a packet was not recorded for want of room.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Records a packet.
    pub fn packet(&mut self, packet: &RawPacket) -> Result<()> {
        self.packets([(packet, None)])
    }

    /// Records packets in one go, each with its comment if it has one: all of them or, on an error, none.
    pub fn packets<'p>(
        &mut self,
        packets: impl IntoIterator<Item = (&'p RawPacket, Option<&'p str>)>,
    ) -> Result<()> {
        let mut count = 0;
        for (packet, comment) in packets {
            if usize::from(packet.segment) >= self.interfaces {
                self.blocks.clear();
                return Err(Error::lab(format!("a packet of an unknown segment, number {}", packet.segment)));
            }
            enhanced_packet(&mut self.blocks, packet, comment);
            count += 1;
        }
        let room = match (&self.out, self.most) {
            (Out::File { whole, .. }, Some(most)) => most.saturating_sub(*whole),
            _ => u64::MAX,
        };
        if self.full || self.blocks.len() as u64 > room {
            return self.fill();
        }
        self.flush(count)
    }

    /// Says at the end of the file that this is not the end of what passed.
    fn fill(&mut self) -> Result<()> {
        self.blocks.clear();
        if !std::mem::replace(&mut self.full, true) {
            (0..self.interfaces).for_each(|interface| statistics(&mut self.blocks, interface, FULL));
        }
        self.flush(0)
    }

    /// How many packets were recorded.
    pub fn count(&self) -> u64 {
        self.packets
    }

    /// Hands the collected blocks to the kernel.
    fn flush(&mut self, packets: u64) -> Result<()> {
        let written = match &mut self.out {
            Out::Stream(stream) => stream.write_all(&self.blocks).and_then(|()| stream.flush()),
            Out::File { file, whole, .. } => append(file, whole, &self.blocks),
        };
        self.blocks.clear();
        written.map_err(|e| self.failure(e))?;
        self.packets += packets;
        Ok(())
    }

    fn failure(&self, cause: io::Error) -> Error {
        let full = cause.kind() == io::ErrorKind::StorageFull;
        let error = match &self.out {
            Out::Stream(_) => Error::lab("cannot write the capture"),
            Out::File { path, .. } => Error::lab(format!(
                "cannot write {}; it keeps the {} packets until then",
                path.display(),
                self.packets
            )),
        };
        let error = error.caused_by(cause);
        if full { error.hint("free some space, or record to another disk") } else { error }
    }
}

/// Writes after the last whole block; on failure takes away the part that was written.
fn append(file: &File, whole: &mut u64, blocks: &[u8]) -> io::Result<()> {
    if let Err(e) = file.write_all_at(blocks, *whole) {
        // If that fails as well, a reader still gets every whole block.
        let _ = file.set_len(*whole);
        return Err(e);
    }
    *whole += blocks.len() as u64;
    Ok(())
}

fn section_header(out: &mut Vec<u8>) {
    block(out, SECTION_HEADER, |body| {
        body.extend(0x1A2B_3C4Du32.to_le_bytes());
        body.extend(1u16.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        // The section's length is not known while it grows.
        body.extend(u64::MAX.to_le_bytes());
        if let Ok(uname) = nix::sys::utsname::uname() {
            let os = [uname.sysname(), uname.release()].map(|part| part.to_string_lossy()).join(" ");
            option(body, 3, os.as_bytes());
        }
        option(body, 4, concat!("netlab ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(body, 0, b"");
    });
}

fn interface(out: &mut Vec<u8>, segment: &WatchedSegment) {
    block(out, INTERFACE, |body| {
        body.extend(ETHERNET.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        body.extend(SNAPLEN.to_le_bytes());
        option(body, 2, segment.interface.as_bytes());
        option(body, 3, segment.name.as_bytes());
        // if_tsresol: times are in 10^-9 s.
        option(body, 9, &[9]);
        option(body, 0, b"");
    });
}

fn name_resolution<'n>(out: &mut Vec<u8>, names: impl IntoIterator<Item = (Ipv4Addr, &'n str)>) {
    block(out, NAME_RESOLUTION, |body| {
        for (address, name) in names {
            let record = [&address.octets(), name.as_bytes(), b"\0"].concat();
            option(body, 1, &record);
        }
        option(body, 0, b"");
    });
}

/// What became of an interface's packets, in words.
fn statistics(out: &mut Vec<u8>, interface: usize, comment: &str) {
    let now = jiff::Timestamp::now().as_nanosecond();
    let at = u64::try_from(now).unwrap_or_default().to_be_bytes();
    block(out, INTERFACE_STATISTICS, |body| {
        body.extend(u32::try_from(interface).unwrap_or(u32::MAX).to_le_bytes());
        for half in at.chunks(4) {
            body.extend(half.iter().rev());
        }
        option(body, 1, comment.as_bytes());
        option(body, 0, b"");
    });
}

fn enhanced_packet(out: &mut Vec<u8>, packet: &RawPacket, comment: Option<&str>) {
    let at = packet.at.to_be_bytes();
    let data = &packet.data[..packet.data.len().min(SNAPLEN as usize)];
    block(out, ENHANCED_PACKET, |body| {
        body.extend(u32::from(packet.segment).to_le_bytes());
        // The time's upper half comes first, whatever the byte order.
        for half in at.chunks(4) {
            body.extend(half.iter().rev());
        }
        body.extend(length(data).to_le_bytes());
        body.extend(packet.original_len.to_le_bytes());
        body.extend(data);
        pad(body);
        if let Some(comment) = comment {
            option(body, 1, comment.as_bytes());
            option(body, 0, b"");
        }
    });
}

/// A block: type, length, body, length again.
fn block(out: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    fill(&mut body);
    let total = (length(&body) + 12).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(total);
    out.extend(body);
    out.extend(total);
}

/// An option, or a name record, which is laid out alike: code, length, value, padding. One with
/// code 0 ends the list. A value that is too long for its length field is cut.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(code.to_le_bytes());
    body.extend(len.to_le_bytes());
    body.extend(&value[..usize::from(len)]);
    pad(body);
}

/// Everything starts at a multiple of four.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
