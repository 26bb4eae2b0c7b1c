//! Decompresses captures that are compressed with gzip or zstd while they are read.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Chain, Cursor, Error, ErrorKind, Read},
};

use flate2::bufread::GzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// How many bytes identify the kind of a file.
const MAGIC: usize = 4;

/// A source whose first bytes have been examined.
type Peeked<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// A capture's bytes, decompressed if necessary.
pub(super) enum Source<R> {
    Plain(Chain<Cursor<Vec<u8>>, R>),
    Gzip(Gzip<Peeked<R>>),
    Zstd(Box<Zstd<Peeked<R>>>),
}

impl<R> Source<R> {
    /// Returns the name of the compression, if it is compressed.
    pub fn compression(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Gzip(_) => Some("gzip"),
            Self::Zstd(_) => Some("zstd"),
        }
    }
}

impl<R: Read> Source<R> {
    /// Examines the first bytes of the source, and picks the decompression.
    pub fn open(mut source: R) -> io::Result<Self> {
        let mut first = Vec::with_capacity(MAGIC);
        source.by_ref().take(MAGIC as u64).read_to_end(&mut first)?;
        let is_gzip = first.starts_with(&[0x1f, 0x8b]);
        let is_zstd = matches!(first[..], [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
        let whole = Cursor::new(first).chain(source);
        Ok(if is_gzip {
            Self::Gzip(Gzip(Some(GzDecoder::new(BufReader::new(whole)))))
        } else if is_zstd {
            Self::Zstd(Box::new(Zstd {
                source: BufReader::new(whole),
                frame: FrameDecoder::new(),
                failed: None,
            }))
        } else {
            Self::Plain(whole)
        })
    }
}

impl<R> fmt::Debug for Source<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.compression().unwrap_or("plain"))
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Plain(source) => return source.read(buffer),
            Self::Gzip(source) => source.read(buffer),
            Self::Zstd(source) => source.read(buffer),
        };
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Error::other("the compressed data ends early"),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                Error::other("the compressed data is damaged")
            }
            _ => error,
        })
    }
}

/// One or several gzip members, one after another (RFC 1952).
pub(super) struct Gzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(mut source) = self.0.take().map(GzDecoder::into_inner) else { break };
            // Tapes and some programs pad with zeros.
            let ends = source.fill_buf()?.first().is_none_or(|byte| *byte == 0);
            self.0 = (!ends).then(|| GzDecoder::new(source));
        }
        Ok(0)
    }
}

/// One or several zstd frames, one after another (RFC 8878).
pub(super) struct Zstd<R> {
    source: R,
    frame: FrameDecoder,
    /// The error to report once everything decoded before it has been read.
    failed: Option<Error>,
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.frame.can_collect() == 0 {
            if let Some(error) = self.failed.take() {
                return Err(error);
            } else if !self.frame.is_finished() {
                self.decode();
            } else if !self.has_right_sum() {
                return Err(ErrorKind::InvalidData.into());
            } else if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            } else {
                self.begin()?;
            }
        }
        self.frame.read(buffer)
    }
}

impl<R: BufRead> Zstd<R> {
    /// Decodes the next block. The decoder holds back what later blocks may repeat; if there are none, an empty last
    /// block with room for a checksum makes it release everything.
    fn decode(&mut self) {
        const LAST: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
        let one = || BlockDecodingStrategy::UptoBlocks(1);
        if let Err(error) = self.frame.decode_blocks(&mut self.source, one()) {
            self.failed = Some(self.why(&error));
            let _ = self.frame.decode_blocks(&LAST[..], one());
        }
    }

    /// Returns whether the content of a frame matches its checksum, if it has one.
    fn has_right_sum(&self) -> bool {
        let sum = self.frame.get_checksum_from_data();
        sum.is_none() || sum == self.frame.get_calculated_checksum()
    }

    /// Starts the next frame, or skips one that holds none of the file's data.
    fn begin(&mut self) -> io::Result<()> {
        match self.frame.reset(&mut self.source) {
            Ok(()) => Ok(()),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let skipped = io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                if skipped < length.into() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
            }
            Err(error) => Err(self.why(&error)),
        }
    }

    /// Returns why a frame cannot be read: often because the data ends early.
    fn why(&mut self, error: &FrameDecoderError) -> Error {
        match (error, self.source.fill_buf()) {
            (FrameDecoderError::WindowSizeTooBig { requested, .. }, _) => Error::other(format!(
                "it was compressed with a window of {requested} bytes, which is too large"
            )),
            (FrameDecoderError::DictNotProvided { .. }, _) => {
                Error::other("it was compressed with a dictionary, which is missing")
            }
            (_, Ok([])) => ErrorKind::UnexpectedEof.into(),
            (_, Ok(_)) => ErrorKind::InvalidData.into(),
            (_, Err(error)) => error,
        }
    }
}
