//! A TCP segment as captured (RFC 9293, 3.1).

use std::{borrow::Cow, fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Datagram, Frame};
use crate::time::Nanos;

/// Length of a header without options, in bytes.
const HEADER: usize = 20;

/// Where a packet was seen: the interface, and the number of tunnels.
pub(super) type Place = (u32, u8);

/// A TCP segment as captured.
#[derive(Clone, Debug)]
pub struct Segment<'a> {
    /// When its frame passed.
    pub at: Nanos,
    /// Which of the capture's interfaces saw it.
    pub interface: u32,
    /// How many tunnels it was in.
    pub tunnels: u8,
    /// Sender.
    pub src: SocketAddr,
    /// Receiver.
    pub dst: SocketAddr,
    /// Control bits.
    pub flags: Flags,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number; only meaningful with [`Flags::ACK`].
    pub ack: u32,
    /// Window as in the header, not scaled.
    pub window: u16,
    /// Length of its frame on the wire, in bytes; of the last frame, if the datagram came in fragments.
    pub frame_len: u32,
    /// Bytes of data it carried on the wire.
    pub len: u32,
    /// The captured part of that data.
    pub payload: Cow<'a, [u8]>,
}

impl<'a> Segment<'a> {
    /// Reads the header of a TCP segment. `None` if less than a header without options was captured, or if
    /// the header contradicts itself.
    pub(super) fn parse(frame: &Frame<'_>, datagram: &Datagram<'_>, data: Cow<'a, [u8]>) -> Option<Self> {
        let header: &[u8; HEADER] = data.first_chunk()?;
        let word = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
        let long = |i: usize| u32::from_be_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let start = usize::from(header[12] >> 4) * 4;
        let len = datagram.len.checked_sub(u32::try_from(start).ok()?)?;
        if start < HEADER {
            return None;
        }
        let (src, dst) = (word(0), word(2));
        Some(Self {
            at: frame.at,
            interface: frame.interface,
            tunnels: 0,
            src: SocketAddr::new(datagram.src, src),
            dst: SocketAddr::new(datagram.dst, dst),
            flags: Flags(word(12) & 0x1ff),
            seq: long(4),
            ack: long(8),
            window: word(14),
            frame_len: frame.len,
            len,
            payload: match data {
                Cow::Borrowed(data) => Cow::Borrowed(data.get(start..).unwrap_or_default()),
                Cow::Owned(mut data) => {
                    data.drain(..start.min(data.len()));
                    Cow::Owned(data)
                }
            },
        })
    }

    /// Returns whether less data was captured than it carried.
    pub fn is_snapped(&self) -> bool {
        self.payload.len() < self.len as usize
    }

    /// Returns by how much it advances its sender's sequence number: its data, and one each for SYN and FIN.
    pub fn seq_len(&self) -> u32 {
        let controls = u32::from(self.flags.has(Flags::SYN)) + u32::from(self.flags.has(Flags::FIN));
        self.len.wrapping_add(controls)
    }

    /// Returns where it was seen.
    pub(super) fn place(&self) -> Place {
        (self.interface, self.tunnels)
    }

    /// Copies the data, so that it no longer borrows from the frame.
    pub fn into_owned(self) -> Segment<'static> {
        Segment { payload: Cow::Owned(self.payload.into_owned()), ..self }
    }
}

/// The control bits of a TCP segment, written like `SYN+ACK`, also in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Flags(pub u16);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);
    /// Accurate ECN (RFC 9768), once the nonce sum.
    pub const AE: Self = Self(0x100);

    /// Each bit in the order in which tools print them, with tcpdump's letter and its name.
    const ALL: [(Self, char, &'static str); 9] = [
        (Self::FIN, 'F', "FIN"),
        (Self::SYN, 'S', "SYN"),
        (Self::RST, 'R', "RST"),
        (Self::PSH, 'P', "PSH"),
        (Self::ACK, '.', "ACK"),
        (Self::URG, 'U', "URG"),
        (Self::ECE, 'E', "ECE"),
        (Self::CWR, 'W', "CWR"),
        (Self::AE, 'e', "AE"),
    ];

    /// Returns whether every bit of `other` is set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether any bit of `other` is set.
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns them as tcpdump prints them: `S.`, `P.`, `none`.
    pub fn letters(self) -> String {
        let letters: String = self.set().map(|(_, letter, _)| letter).collect();
        if letters.is_empty() { "none".into() } else { letters }
    }

    fn set(self) -> impl Iterator<Item = (Self, char, &'static str)> {
        Self::ALL.into_iter().filter(move |(bit, ..)| self.has(*bit))
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.set().map(|(.., name)| name).collect();
        f.pad(&names.join("+"))
    }
}

impl FromStr for Flags {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split('+').filter(|name| !name.is_empty()).try_fold(Self(0), |flags, name| {
            let bit = Self::ALL.into_iter().find(|(.., n)| *n == name);
            bit.map(|(bit, ..)| flags | bit).ok_or_else(|| format!("unknown TCP flag: {name}"))
        })
    }
}

impl From<Flags> for String {
    fn from(flags: Flags) -> Self {
        flags.to_string()
    }
}

impl TryFrom<String> for Flags {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_two_spellings() {
        let syn_ack = Flags::SYN | Flags::ACK;
        assert_eq!((syn_ack.to_string().as_str(), syn_ack.letters().as_str()), ("SYN+ACK", "S."));
        assert_eq!("FIN+PSH+ACK".parse(), Ok(Flags(0x19)));
        assert_eq!(Flags(0).letters(), "none");
        assert!("SYN+WAT".parse::<Flags>().is_err());
    }
}
