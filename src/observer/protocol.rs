//! What an observer and its reader say to each other, over any pair of byte streams.
//!
//! Every frame, either way, is a big-endian `u32` length, then that many bytes: a tag byte and the
//! payload. Tag `J` is one JSON message; tag `P` is a packet: segment index (`u16`), time (`u64`,
//! nanoseconds since the epoch), original length (`u32`), all big-endian, then the captured bytes.
//!
//! Tag `B` is packets that are to be recorded: three zeros, how many (`u32`, big-endian), then the Enhanced Packet
//! Blocks of a pcapng file.
//!
//! The reader's first frame is the [`Task`]; the observer answers
//! [`Message::Ready`] once every capture is open and every host was sampled, so that nothing that
//! happens afterwards is missed. It ends when its input ends.

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

/// No frame is longer, in bytes; a length beyond it means that the stream is not ours. The largest
/// frame is a process table, of which an observer tells no more than fits.
pub const MAX_FRAME: usize = 32 << 20;

const JSON: u8 = b'J';
const PACKET: u8 = b'P';
const PACKET_HEADER: usize = 2 + 8 + 4;
const BLOCKS: u8 = b'B';
/// What comes before the blocks in a frame of them, its length included: a multiple of four, as they are.
pub const BLOCKS_HEADER: usize = 4 + 1 + 3 + 4;

/// What an observer is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Task {
    /// Pass on these segments' packets as blocks of a file, in large pieces and with nothing else, until the reader's
    /// stream ends. Then everything until that moment follows, and [`Message::Done`].
    Record {
        /// The segments.
        record: Vec<Interface>,
    },
    /// Tell at once of everything that is seen.
    Watch(Watch),
}

/// What the reader asks. `id` comes back in the [`Message::Done`] or [`Message::Failed`] of the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Look at every host now. Tables that changed, and every packet that has passed until now, are
    /// sent before the answer.
    Sample {
        /// Names the request; it comes back in the answer.
        id: u64,
    },
    /// Send a signal to one process of a host, numbered as the host numbers it.
    Signal {
        /// Names the request; it comes back in the answer.
        id: u64,
        /// The host.
        host: String,
        /// Its number on the host, where it is known.
        pid: i32,
        /// The signal's name.
        signal: i32,
    },
    /// Which pid the process has inside the host, given its number where the observer runs.
    /// Answered by [`Message::Pid`].
    Resolve {
        /// Names the request; it comes back in the answer.
        id: u64,
        /// Its number where the observer runs.
        outer: i32,
    },
    /// Watch this host from here on: one that is gone has come back, with another PID 1.
    Watch {
        /// Names the request; it comes back in the answer.
        id: u64,
        /// The host.
        host: WatchedHost,
    },
}

/// What the observer says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Watching from here on.
    Ready {
        /// When.
        at: Nanos,
    },
    /// A host's sockets, whole, because they changed.
    Sockets {
        /// When.
        at: Nanos,
        /// The host.
        host: String,
        /// The whole table.
        rows: Vec<SocketRow>,
    },
    /// A host's processes, whole, because they changed in more than the processor time they used,
    /// or because a [`Request::Sample`] asked.
    Processes {
        /// When.
        at: Nanos,
        /// The host.
        host: String,
        /// The whole table.
        rows: Vec<ProcessRow>,
    },
    /// The pid asked for.
    Pid {
        /// Names the request; it comes back in the answer.
        id: u64,
        /// Its number on the host, where it is known.
        pid: i32,
    },
    /// What was asked is done.
    Done {
        /// Names the request; it comes back in the answer.
        id: u64,
    },
    /// What was asked could not be done, and why.
    Failed {
        /// Names the request; it comes back in the answer.
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
    /// How many packets of a segment to be recorded came until now, and how many of them were dropped.
    Counted {
        /// Index of the segment.
        segment: u16,
        /// How many packets have come.
        received: u64,
        /// How many of those the kernel dropped.
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

/// What one frame from the observer carries.
#[derive(Debug)]
pub enum Frame {
    /// Tag `J`.
    Message(Message),
    /// Tag `P`.
    Packet(RawPacket),
}

impl Frame {
    /// Reads a frame, given without its length.
    pub fn decode(frame: &[u8]) -> Result<Self> {
        match frame.split_first() {
            Some((&PACKET, rest)) => packet(rest).map(Self::Packet),
            _ => decode_json(frame).map(Self::Message),
        }
    }
}

fn packet(bytes: &[u8]) -> Result<RawPacket> {
    let cut_short = || Error::lab("the observer sent a packet that is cut short");
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

/// Reads a JSON frame, given without its length.
pub fn decode_json<T: DeserializeOwned>(frame: &[u8]) -> Result<T> {
    match frame.split_first() {
        Some((&JSON, json)) => {
            serde_json::from_slice(json).or_lab(|| "unreadable message between observer and reader")
        }
        _ => Err(Error::lab("unreadable message between observer and reader")),
    }
}

/// Appends a JSON frame, its length first.
pub fn encode_json(message: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 4]);
    out.push(JSON);
    // Plain data with string keys, written to memory: nothing in it can fail.
    let _ = serde_json::to_writer(&mut *out, message);
    let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Appends a packet frame, its length first.
pub fn encode_packet(segment: u16, at: Nanos, original_len: u32, data: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(1 + PACKET_HEADER + data.len()).unwrap_or(u32::MAX);
    out.extend(len.to_be_bytes());
    out.push(PACKET);
    out.extend(segment.to_be_bytes());
    out.extend(at.to_be_bytes());
    out.extend(original_len.to_be_bytes());
    out.extend(data);
}

/// What begins a frame of blocks, which is `len` bytes with this.
pub fn blocks_header(len: usize, packets: u32) -> [u8; BLOCKS_HEADER] {
    let mut header = [0; BLOCKS_HEADER];
    let len = u32::try_from(len.saturating_sub(4)).unwrap_or(u32::MAX);
    header[..4].copy_from_slice(&len.to_be_bytes());
    header[4] = BLOCKS;
    header[8..].copy_from_slice(&packets.to_be_bytes());
    header
}

/// How many packets are in a frame of blocks, given without its length, and the blocks; none if it is another one.
pub fn decode_blocks(frame: &[u8]) -> Option<(u32, &[u8])> {
    let ([BLOCKS, _, _, _, count @ ..], blocks) = frame.split_first_chunk::<8>()? else { return None };
    Some((u32::from_be_bytes(*count), blocks))
}

/// Reads the next frame from a blocking stream, without its length. `None` at the stream's end.
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
    // Memory for what comes, not for what is announced.
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
