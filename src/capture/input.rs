//! Reads the bytes of a capture file as they come, a whole record at a time.

use std::io::{self, ErrorKind, Read};

use super::compressed::Source;

/// How much is read at once, in bytes.
const CHUNK: usize = 256 * 1024;
/// The longest record to hold at once, in bytes. No capture of a network interface comes near.
const LONGEST: usize = 16 * 1024 * 1024;

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// At the end, between two records.
    End,
    /// In the middle of a record, with this many bytes missing.
    Early(u64),
    /// Because of this damage.
    Damaged(String),
}

/// Shorthand for [`Stop::Damaged`].
pub(super) fn damaged<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Damaged(why.into()))
}

/// A stream of bytes with a window on what comes next.
#[derive(Debug)]
pub(super) struct Input<R> {
    source: Source<R>,
    buffer: Vec<u8>,
    /// `buffer[at..end]` was read and not yet taken.
    at: usize,
    end: usize,
    /// How many bytes were taken.
    pub offset: u64,
}

impl<R: Read> Input<R> {
    pub fn new(source: R) -> io::Result<Self> {
        Ok(Self { source: Source::open(source)?, buffer: vec![0; CHUNK], at: 0, end: 0, offset: 0 })
    }

    /// Returns the name of the compression, if it is compressed.
    pub fn compression(&self) -> Option<&'static str> {
        self.source.compression()
    }

    /// Returns whether more must be read before anything can be taken.
    pub fn is_drained(&self) -> bool {
        self.at == self.end
    }

    /// Returns the next `len` bytes without taking them. [`Stop::End`] if the file ends before the first of them.
    pub fn peek(&mut self, len: usize) -> Result<&[u8], Stop> {
        if self.end - self.at < len {
            self.fill(len)?;
        }
        Ok(&self.buffer[self.at..self.at + len])
    }

    /// Takes the next `len` bytes; [`Input::taken`] shows them until the next call.
    pub fn take(&mut self, len: usize) -> Result<(), Stop> {
        self.peek(len)?;
        self.at += len;
        self.offset += len as u64;
        Ok(())
    }

    /// Returns the last `len` bytes taken.
    pub fn taken(&self, len: usize) -> &[u8] {
        &self.buffer[self.at - len..self.at]
    }

    /// Skips `len` bytes, however many, of which only the last four stay visible.
    pub fn skip(&mut self, mut len: u64) -> Result<(), Stop> {
        while len > 0 {
            let step = usize::try_from(len).unwrap_or(CHUNK).min(CHUNK);
            let taken = self.take(step);
            len -= step as u64;
            taken.map_err(|stop| match stop {
                Stop::End => Stop::Early(len + step as u64),
                Stop::Early(missing) => Stop::Early(len + missing),
                Stop::Damaged(why) => Stop::Damaged(why),
            })?;
        }
        Ok(())
    }

    /// Returns what comes next, at most `len` bytes of it.
    pub fn beginning(&mut self, len: usize) -> Result<&[u8], Stop> {
        match self.peek(len).err() {
            Some(stop) if self.at == self.end => return Err(stop),
            _ => {}
        }
        Ok(&self.buffer[self.at..self.end.min(self.at + len)])
    }

    fn fill(&mut self, len: usize) -> Result<(), Stop> {
        if len > LONGEST {
            return damaged(format!("it says that {len} bytes follow, more than any packet has"));
        }
        self.buffer.copy_within(self.at..self.end, 0);
        (self.at, self.end) = (0, self.end - self.at);
        while self.end < len {
            // Grows with the data that is there, not with the length that the file claims.
            if self.end == self.buffer.len() {
                self.buffer.resize(self.end * 2, 0);
            }
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) if self.end == 0 => return Err(Stop::End),
                Ok(0) => return Err(Stop::Early((len - self.end) as u64)),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return damaged(format!("cannot read further: {error}")),
            }
        }
        Ok(())
    }
}
