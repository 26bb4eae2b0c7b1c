//! The protocol between an observer and its reader, over any pair of byte streams.
//!
//! Every frame, in either direction, is a big-endian `u32` length and then that many bytes: a tag byte and
//! the payload. Tag `J` is one JSON message; tag `P` is a packet: segment index (`u16`), time (`u64`,
//! nanoseconds since the epoch), original length (`u32`), all big-endian, then the captured bytes.
//!
//! Tag `B` is packets to be recorded: three zero bytes, the number of packets (`u32`, big-endian), then the
//! Enhanced Packet Blocks of a pcapng file.
//!
//! The reader's first frame is the [`Task`]; the observer answers [`Message::Ready`] once every capture is
//! open and every host was sampled, so that nothing after that is missed. It ends when its input ends.

use std::io::{self, Read};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::ProcessRow;
use crate::{
    Error, Result,
    capture::{Interface, RawPacket},
    error::Context,
    kernel::SocketRow,
    runtime::{Watch, WatchedHost},
    time::Nanos,
};

/// Maximum length of a frame, in bytes; a greater length means that the stream is not this protocol. The
/// largest frame is a process table, which the observer truncates to fit.
pub const MAX_FRAME: usize = 32 << 20;

const JSON: u8 = b'J';
const PACKET: u8 = b'P';
const PACKET_HEADER: usize = 2 + 8 + 4;
const BLOCKS: u8 = b'B';
/// Length of the header before the blocks in a frame of blocks, its length field included: a multiple of
/// four, like the blocks.
pub const BLOCKS_HEADER: usize = 4 + 1 + 3 + 4;

/// An observer's task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Task {
    /// Pass on these segments' packets as blocks of a file, in large pieces and with nothing else, until the
    /// reader's stream ends. Then send everything captured by that moment, and [`Message::Done`].
    Record {
        /// The segments.
        record: Vec<Interface>,
    },
    /// Report everything that is seen at once.
    Watch(Watch),
}

/// A request from the reader. `id` is repeated in the answer, [`Message::Done`] or [`Message::Failed`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Sample every host now. Tables that changed, and every packet so far, are sent before the answer.
    Sample {
        /// Identifies the request; repeated in the answer.
        id: u64,
    },
    /// Send a signal to a process of a host.
    Signal {
        /// Identifies the request; repeated in the answer.
        id: u64,
        /// The host.
        host: String,
        /// Its pid on the host.
        pid: i32,
        /// The signal's number.
        signal: i32,
    },
    /// Return a process's pid on its host, given its pid in the observer's PID namespace. Answered by
    /// [`Message::Pid`].
    Resolve {
        /// Identifies the request; repeated in the answer.
        id: u64,
        /// Its pid in the observer's PID namespace.
        outer: i32,
    },
    /// Watch this host from now on: it was started again, with another PID 1.
    Watch {
        /// Identifies the request; repeated in the answer.
        id: u64,
        /// The host.
        host: WatchedHost,
    },
}

/// A message from the observer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// It is watching from now on.
    Ready {
        /// When.
        at: Nanos,
    },
    /// A host's complete socket table, because it changed.
    Sockets {
        /// When.
        at: Nanos,
        /// The host.
        host: String,
        /// The whole table.
        rows: Vec<SocketRow>,
    },
    /// A host's complete process table, because it changed in more than processor time, or because a
    /// [`Request::Sample`] asked for it.
    Processes {
        /// When.
        at: Nanos,
        /// The host.
        host: String,
        /// The whole table.
        rows: Vec<ProcessRow>,
    },
    /// The requested pid.
    Pid {
        /// Identifies the request; repeated in the answer.
        id: u64,
        /// Its pid on the host.
        pid: i32,
    },
    /// The request is done.
    Done {
        /// Identifies the request; repeated in the answer.
        id: u64,
    },
    /// The request failed.
    Failed {
        /// Identifies the request; repeated in the answer.
        id: u64,
        /// Why.
        why: String,
    },
    /// A host's PID 1 is gone, and everything on the host with it.
    Gone {
        /// When.
        at: Nanos,
        /// The host.
        host: String,
    },
    /// How many packets of a recorded segment have arrived so far, and how many of them were dropped.
    Counted {
        /// Index of the segment.
        segment: u16,
        /// Number of packets that arrived.
        received: u64,
        /// Number of those that the kernel dropped.
        dropped: u64,
    },
    /// Something could not be seen, and why: packets dropped, a segment gone.
    ObservationLost {
        /// When.
        at: Nanos,
        /// Why.
        why: String,
    },
}

/// The content of one frame from the observer.
#[derive(Debug)]
pub enum Frame {
    /// Tag `J`.
    Message(Message),
    /// Tag `P`.
    Packet(RawPacket),
}

impl Frame {
    /// Decodes a frame, given without its length field.
    pub fn decode(frame: &[u8]) -> Result<Self> {
        match frame.split_first() {
            Some((&PACKET, rest)) => packet(rest).map(Self::Packet),
            _ => decode_json(frame).map(Self::Message),
        }
    }
}

fn packet(bytes: &[u8]) -> Result<RawPacket> {
    let cut_short = || Error::lab("the observer sent a truncated packet");
    let (segment, rest) = bytes.split_first_chunk().ok_or_else(cut_short)?;
    let (at, rest) = rest.split_first_chunk().ok_or_else(cut_short)?;
    let (original_len, data) = rest.split_first_chunk().ok_or_else(cut_short)?;
    Ok(RawPacket {
        segment: u16::from_be_bytes(*segment),
        at: Nanos::from_be_bytes(*at),
        original_len: u32::from_be_bytes(*original_len),
        data: data.to_vec(),
    })
}

/// Decodes a JSON frame, given without its length field.
pub fn decode_json<T: DeserializeOwned>(frame: &[u8]) -> Result<T> {
    match frame.split_first() {
        Some((&JSON, json)) => {
            serde_json::from_slice(json).or_lab(|| "unreadable message between observer and reader")
        }
        _ => Err(Error::lab("unreadable message between observer and reader")),
    }
}

/// Appends a JSON frame with its length field.
pub fn encode_json(message: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 4]);
    out.push(JSON);
    // Plain data with string keys, written to memory, cannot fail.
    let _ = serde_json::to_writer(&mut *out, message);
    let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Appends a packet frame with its length field.
pub fn encode_packet(segment: u16, at: Nanos, original_len: u32, data: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(1 + PACKET_HEADER + data.len()).unwrap_or(u32::MAX);
    out.extend(len.to_be_bytes());
    out.push(PACKET);
    out.extend(segment.to_be_bytes());
    out.extend(at.to_be_bytes());
    out.extend(original_len.to_be_bytes());
    out.extend(data);
}

/// Returns the header of a frame of blocks that is `len` bytes long, header included.
pub fn blocks_header(len: usize, packets: u32) -> [u8; BLOCKS_HEADER] {
    let mut header = [0; BLOCKS_HEADER];
    let len = u32::try_from(len.saturating_sub(4)).unwrap_or(u32::MAX);
    header[..4].copy_from_slice(&len.to_be_bytes());
    header[4] = BLOCKS;
    header[8..].copy_from_slice(&packets.to_be_bytes());
    header
}

/// Returns the number of packets in a frame of blocks, given without its length field, and the blocks; `None`
/// for any other frame.
pub fn decode_blocks(frame: &[u8]) -> Option<(u32, &[u8])> {
    let ([BLOCKS, _, _, _, count @ ..], blocks) = frame.split_first_chunk::<8>()? else { return None };
    Some((u32::from_be_bytes(*count), blocks))
}

/// Reads the next frame from a blocking stream, without its length field. `None` at the stream's end.
pub fn read_frame(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    match input.read_exact(&mut len) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let len = u32::from_be_bytes(len) as usize;
    if len > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {len} bytes")));
    }
    // Memory is allocated for what arrives, not for what is announced.
    let mut frame = Vec::new();
    if input.by_ref().take(len as u64).read_to_end(&mut frame)? < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went() {
        let mut bytes = Vec::new();
        encode_json(&Message::Done { id: 7 }, &mut bytes);
        encode_packet(3, 1_700_000_000_123_456_789, 1500, b"abc", &mut bytes);
        let mut input = bytes.as_slice();
        let first = read_frame(&mut input).unwrap().unwrap();
        assert!(matches!(Frame::decode(&first), Ok(Frame::Message(Message::Done { id: 7 }))));
        let second = read_frame(&mut input).unwrap().unwrap();
        let Ok(Frame::Packet(packet)) = Frame::decode(&second) else { panic!("not a packet") };
        let expected = RawPacket {
            segment: 3,
            at: 1_700_000_000_123_456_789,
            original_len: 1500,
            data: b"abc".to_vec(),
        };
        assert_eq!(packet, expected);
        assert!(read_frame(&mut input).unwrap().is_none());
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert!(read_frame(&mut b"HTTP/1.1 200 OK".as_slice()).is_err());
        for junk in [&b""[..], b"J{", b"P\0\0", b"X"] {
            assert!(Frame::decode(junk).is_err(), "{junk:?}");
        }
    }
}
