//! Captured frames, whatever tool captured them.

use serde::{Deserialize, Serialize};

use crate::time::Nanos;

/// An interface of a capture: a segment of a lab, at the device that carries it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interface {
    /// The segment's name.
    pub name: String,
    /// The machine's name for the bridge that carries it.
    pub device: String,
}

/// A packet as captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawPacket {
    /// Index into the captured interfaces.
    pub segment: u16,
    /// When it passed.
    pub at: Nanos,
    /// Its length on the wire, in bytes.
    pub original_len: u32,
    /// The captured part of it, starting with the Ethernet header.
    pub data: Vec<u8>,
}

/// A frame as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it passed.
    pub at: Nanos,
    /// Which of the capture's interfaces saw it, from 0.
    pub interface: u32,
    /// The kind of header that it starts with.
    pub link: LinkType,
    /// Its length on the wire, in bytes.
    pub len: u32,
    /// The captured part of it.
    pub data: &'a [u8],
}

impl<'a> From<&'a RawPacket> for Frame<'a> {
    fn from(packet: &'a RawPacket) -> Self {
        Self {
            at: packet.at,
            interface: packet.segment.into(),
            link: LinkType::ETHERNET,
            len: packet.original_len,
            data: &packet.data,
        }
    }
}

/// The kind of header that a frame starts with, by its number in the
/// [registry of link-layer types](https://www.tcpdump.org/linktypes.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the byte order of the capturing machine.
    pub const NULL: Self = Self(0);
    /// An Ethernet header.
    pub const ETHERNET: Self = Self(1);
    /// IEEE 802.5.
    pub const TOKEN_RING: Self = Self(6);
    /// PPP, with or without HDLC's address and control bytes.
    pub const PPP: Self = Self(9);
    /// FDDI.
    pub const FDDI: Self = Self(10);
    /// PPP or Cisco's HDLC on a serial line.
    pub const PPP_HDLC: Self = Self(50);
    /// A PPPoE header.
    pub const PPP_ETHER: Self = Self(51);
    /// LLC over ATM.
    pub const ATM_RFC1483: Self = Self(100);
    /// An IP header, version 4 or 6.
    pub const RAW: Self = Self(101);
    /// Cisco's HDLC.
    pub const C_HDLC: Self = Self(104);
    /// IEEE 802.11.
    pub const IEEE802_11: Self = Self(105);
    /// Frame relay.
    pub const FRELAY: Self = Self(107);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// OpenBSD's interface of decrypted packets.
    pub const ENC: Self = Self(109);
    /// Linux "cooked" capture, e.g. on the interface `any`.
    pub const LINUX_SLL: Self = Self(113);
    /// Logs of the firewall pf.
    pub const PFLOG: Self = Self(117);
    /// IEEE 802.11 after a Prism header.
    pub const IEEE802_11_PRISM: Self = Self(119);
    /// IEEE 802.11 after a radiotap header.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// IEEE 802.11 after an AVS header.
    pub const IEEE802_11_AVS: Self = Self(163);
    /// A header with further information about the packet and its link type.
    pub const PPI: Self = Self(192);
    /// PPP after a byte with the direction.
    pub const PPP_WITH_DIR: Self = Self(204);
    /// A stack of MPLS labels.
    pub const MPLS: Self = Self(219);
    /// An IPv4 header.
    pub const IPV4: Self = Self(228);
    /// An IPv6 header.
    pub const IPV6: Self = Self(229);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
    /// `LINKTYPE_RAW` in captures whose writer used its own DLT number.
    pub(super) const DLT_RAW: [Self; 2] = [Self(12), Self(14)];
}
