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

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
};

use super::blocks::{self, Packet};
use crate::{Error, Result, capture::Interface, capture::RawPacket, error::Context};

/// How much room is kept for the statistics in the end: those of some fifty interfaces and the words.
const RESERVE: u64 = 4096;
/// How long the words may be.
const MOST_WORDS: usize = 512;

/// What is told at the end of a capture that is full.
const FULL: &str = "netlab: this capture is full, and packets from now on are not in it";

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
    /// How much room is kept for what is told in the end, in bytes.
    reserve: u64,
}

/// What became of the packets of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many came, those that were dropped included.
    pub received: u64,
    /// How many of them there was no room for.
    pub dropped: u64,
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
        segments: &[Interface],
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
        let begun = Self::begin(Out::File { file, path: path.to_owned(), whole: 0 }, segments, names);
        if begun.is_err() {
            // Without its beginning it is no capture. There is nothing to be done if it stays.
            let _ = fs::remove_file(path);
        }
        begun
    }

    /// Writes to a stream, such as a pipe to Wireshark. Each write is of whole blocks.
    pub fn to_stream<'n>(
        stream: impl Write + Send + 'static,
        segments: &[Interface],
        names: impl IntoIterator<Item = (Ipv4Addr, &'n str)>,
    ) -> Result<Self> {
        Self::begin(Out::Stream(Box::new(stream)), segments, names)
    }

    fn begin<'n>(
        out: Out,
        segments: &[Interface],
        names: impl IntoIterator<Item = (Ipv4Addr, &'n str)>,
    ) -> Result<Self> {
        let mut begun = Vec::new();
        blocks::section_header(&mut begun);
        for segment in segments {
            blocks::interface(&mut begun, segment);
        }
        blocks::name_resolution(&mut begun, names);
        let mut recorder = Self {
            out,
            interfaces: segments.len(),
            packets: 0,
            blocks: begun,
            most: None,
            full: false,
            reserve: 0,
        };
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

    /// Keeps room on the disk for [`Recorder::end`], so that a full disk can still be told of.
    #[must_use]
    pub fn reserving(mut self) -> Self {
        self.reserve = RESERVE;
        self
    }

    /// Ends the recording with what became of each interface's packets, and in words with why it ended early, if it
    /// did.
    pub fn end(&mut self, counts: &[Counts], why: Option<&str>) -> Result<()> {
        self.reserve = 0;
        let why = why.map(|why| &why[..why.floor_char_boundary(MOST_WORDS)]);
        for (interface, counts) in counts.iter().enumerate().take(self.interfaces) {
            blocks::statistics(&mut self.blocks, interface, Some(*counts), why.filter(|_| interface == 0));
        }
        self.flush(0)?;
        if let Out::File { file, whole, .. } = &self.out {
            // Gives back what was kept; where that fails the file is as good.
            let _ = file.set_len(*whole);
        }
        Ok(())
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
            let RawPacket { segment, at, original_len, data } = packet;
            let packet = Packet { segment: *segment, at: *at, original_len: *original_len, data };
            blocks::enhanced_packet(&mut self.blocks, &packet, comment);
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
            (0..self.interfaces).for_each(|i| blocks::statistics(&mut self.blocks, i, None, Some(FULL)));
        }
        self.flush(0)
    }

    /// Records packets that are blocks already, whole ones.
    pub fn blocks(&mut self, blocks: &[u8], packets: u64) -> Result<()> {
        self.blocks.extend(blocks);
        self.flush(packets)
    }

    /// How many packets were recorded.
    pub fn count(&self) -> u64 {
        self.packets
    }

    /// Hands the collected blocks to the kernel.
    fn flush(&mut self, packets: u64) -> Result<()> {
        let written = match &mut self.out {
            Out::Stream(stream) => stream.write_all(&self.blocks).and_then(|()| stream.flush()),
            Out::File { file, whole, .. } => append(file, whole, &self.blocks, self.reserve),
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

/// Writes after the last whole block and keeps room for as much as `reserve`; on failure takes away the part that was
/// written.
fn append(file: &File, whole: &mut u64, blocks: &[u8], reserve: u64) -> io::Result<()> {
    if reserve > 0 {
        // Where this fails nothing was written, and the room that was kept before stays.
        allocate(file, *whole, blocks.len() as u64 + reserve)?;
    }
    if let Err(e) = file.write_all_at(blocks, *whole) {
        // If that fails as well, a reader still gets every whole block.
        let _ = file.set_len(*whole);
        return Err(e);
    }
    *whole += blocks.len() as u64;
    Ok(())
}

/// Has the disk keep room for so many bytes from there on, where its file system can.
fn allocate(file: &File, from: u64, len: u64) -> io::Result<()> {
    let offset = |n: u64| i64::try_from(n).map_err(io::Error::other);
    match fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, offset(from)?, offset(len)?) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        kept => Ok(kept?),
    }
}
