//! Writes captures as pcapng (draft-ietf-opsawg-pcapng), so that the file is valid at any moment.
//!
//! Blocks are made in memory and passed to the kernel whole. Nothing waits in this program's memory, so what was
//! recorded stays readable whenever and however the program ends.

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

use super::blocks::{self, Counts, Packet};
use crate::{Error, Result, capture::Interface, capture::RawPacket, error::Context};

/// Room reserved for the statistics at the end, in bytes: those of about fifty interfaces, and the comment.
const RESERVE: u64 = 4096;
/// Maximum length of the comment, in bytes.
const MOST_WORDS: usize = 512;

/// The comment at the end of a capture that is full.
const FULL: &str = "netlab: this capture is full, and packets from now on are not in it";

/// A capture being written.
pub struct Recorder {
    out: Out,
    interfaces: usize,
    /// Packets written so far.
    packets: u64,
    blocks: Vec<u8>,
    /// The maximum length in bytes, if there is one.
    most: Option<u64>,
    /// Whether a packet did not fit.
    full: bool,
    /// Room reserved for the end, in bytes.
    reserve: u64,
}

enum Out {
    /// A file, and the length of its whole blocks in bytes.
    File {
        file: File,
        path: PathBuf,
        whole: u64,
    },
    Stream(Box<dyn Write + Send>),
}

impl Recorder {
    /// Creates a new file and its parent folders. An existing file is an error and stays as it is.
    ///
    /// `names` are the hosts' names by address; readers show them instead of the addresses.
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
                        Error::usage(format!("{} already exists", path.display()))
                            .hint("captures are never overwritten: remove it or choose another name")
                    }
                    _ => Error::lab(format!("cannot create {}", path.display())).caused_by(e),
                }
            })?;
        let begun = Self::begin(Out::File { file, path: path.to_owned(), whole: 0 }, segments, names);
        if begun.is_err() {
            // Without its header it is not a capture. If it cannot be removed, nothing can be done.
            let _ = fs::remove_file(path);
        }
        begun
    }

    /// Writes to a stream, such as a pipe to Wireshark. Each write consists of whole blocks.
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

    /// Limits the file to `most` bytes: once a packet does not fit, a comment says that it is full, and nothing
    /// more is recorded.
    #[must_use]
    pub fn bounded(mut self, most: u64) -> Self {
        self.most = Some(most);
        self
    }

    /// Reserves room on the disk for [`Recorder::end`], so that the file can still say that the disk was full.
    #[must_use]
    pub fn reserving(mut self) -> Self {
        self.reserve = RESERVE;
        self
    }

    /// Ends the recording with the counts of each interface, and with the reason if it ended early.
    pub fn end(&mut self, counts: &[Counts], why: Option<&str>) -> Result<()> {
        self.reserve = 0;
        let why = why.map(|why| &why[..why.floor_char_boundary(MOST_WORDS)]);
        for (interface, counts) in counts.iter().enumerate().take(self.interfaces) {
            blocks::statistics(&mut self.blocks, interface, Some(*counts), why.filter(|_| interface == 0));
        }
        self.flush(0)?;
        if let Out::File { file, whole, .. } = &self.out {
            // Releases the reserved room; if that fails, the file is just as valid.
            let _ = file.set_len(*whole);
        }
        Ok(())
    }

    /// Returns whether a packet was not recorded for lack of room.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Records a packet.
    pub fn packet(&mut self, packet: &RawPacket) -> Result<()> {
        self.packets([(packet, None)])
    }

    /// Records packets in one write, each with its comment if it has one: all of them or, on an error, none.
    pub fn packets<'p>(
        &mut self,
        packets: impl IntoIterator<Item = (&'p RawPacket, Option<&'p str>)>,
    ) -> Result<()> {
        let mut count = 0;
        for (packet, comment) in packets {
            if usize::from(packet.segment) >= self.interfaces {
                self.blocks.clear();
                return Err(Error::lab(format!(
                    "a packet of an unknown segment (number {})",
                    packet.segment
                )));
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

    /// Notes at the end of the file that more packets passed.
    fn fill(&mut self) -> Result<()> {
        self.blocks.clear();
        if !std::mem::replace(&mut self.full, true) {
            (0..self.interfaces).for_each(|i| blocks::statistics(&mut self.blocks, i, None, Some(FULL)));
        }
        self.flush(0)
    }

    /// Records packets that are already whole blocks.
    pub fn blocks(&mut self, blocks: &[u8], packets: u64) -> Result<()> {
        self.blocks.extend(blocks);
        self.flush(packets)
    }

    /// Returns how many packets were recorded.
    pub fn count(&self) -> u64 {
        self.packets
    }

    /// Passes the collected blocks to the kernel.
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
                "cannot write {}; the {} packets recorded so far are in it",
                path.display(),
                self.packets
            )),
        };
        let error = error.caused_by(cause);
        if full { error.hint("free some space, or record to another disk") } else { error }
    }
}

/// Writes after the last whole block, and reserves room for `reserve` bytes after that; on failure removes the part
/// that was written.
fn append(file: &File, whole: &mut u64, blocks: &[u8], reserve: u64) -> io::Result<()> {
    if reserve > 0 {
        // If this fails, nothing was written, and the room reserved before remains.
        allocate(file, *whole, blocks.len() as u64 + reserve)?;
    }
    if let Err(e) = file.write_all_at(blocks, *whole) {
        // If that also fails, a reader still gets every whole block.
        let _ = file.set_len(*whole);
        return Err(e);
    }
    *whole += blocks.len() as u64;
    Ok(())
}

/// Reserves room on the disk for `len` bytes from `from` on, if the file system can.
fn allocate(file: &File, from: u64, len: u64) -> io::Result<()> {
    let offset = |n: u64| i64::try_from(n).map_err(io::Error::other);
    match fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, offset(from)?, offset(len)?) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        kept => Ok(kept?),
    }
}
