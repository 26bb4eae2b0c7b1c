//! Captures: the packets that passed on the wire, and the TCP connections that follow from them.
//!
//! Data goes one way: a file's bytes → [`Reader`] → [`Ordered`] → [`Frame`] → [`Decoder`] → [`Segment`] →
//! [`Conversations`]. Live packets join at [`Frame`].

mod analysis;
pub(crate) mod blocks;
mod compressed;
mod conversation;
mod conversations;
mod datagram;
mod decode;
mod describe;
mod ending;
mod fragments;
mod frame;
mod gaps;
mod input;
pub mod ladder;
mod names;
mod ordered;
mod packet;
mod pcap;
mod pcapng;
mod read;
mod record;
pub mod recordings;
mod segment;
mod sender;
pub mod show;
mod states;
pub mod table;
mod tcp_state;
mod tracked;

pub use analysis::{Seen, SeqAnalysis};
pub use blocks::Counts;
pub use conversation::{Close, Conversation, Flow, Handshake, Side, Step};
pub use conversations::Conversations;
pub use datagram::Datagram;
pub use decode::{Decoder, Network, network};
pub use ending::Ending;
pub use frame::{Frame, Interface, LinkType, RawPacket};
pub use names::Names;
pub use ordered::Ordered;
pub use read::{Damage, Reader};
pub use record::Recorder;
pub use recordings::{Recording, newest};
pub use segment::{Flags, Segment};
pub use states::States;
pub use tcp_state::TcpState;
