//! Attaches a program that decides on every frame that passes an interface (tc-bpf(8)).

use netlink_packet_core::DefaultNla;
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};

use super::sender::Program;
use crate::kernel::netlink::Change;

/// The queueing discipline that filters are attached to (since Linux 4.5).
const CLSACT: &str = "clsact";

/// From `linux/pkt_cls.h`: a classic BPF program and its length, for which the crate has no constants.
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;

/// The filter's priority; an interface has no other filter.
const PRIORITY: u32 = 1;
/// Ethernet protocol: frames of every kind.
const ETH_P_ALL: u16 = 3;

/// Returns the changes that attach a program to incoming frames of interface number `index`. `port` describes
/// the interface to the user.
pub fn incoming(index: u32, port: &str, program: &Program) -> [Change; 2] {
    let change = |message| Change { what: format!("put a filter on {port}"), message };
    [change(discipline(index)), change(filter(index, TcHandle::MIN_INGRESS, program))]
}

/// The same for incoming and outgoing frames.
pub fn both_ways(index: u32, port: &str, program: &Program) -> [Change; 3] {
    let [discipline, incoming] = incoming(index, port, program);
    let what = incoming.what.clone();
    [discipline, incoming, Change { what, message: filter(index, TcHandle::MIN_EGRESS, program) }]
}

fn discipline(index: u32) -> RouteNetlinkMessage {
    let mut message = message(index, TcHandle::CLSACT, CLSACT);
    message.header.handle = TcHandle { minor: 0, ..TcHandle::CLSACT };
    RouteNetlinkMessage::NewQueueDiscipline(message)
}

fn filter(index: u32, way: u16, program: &Program) -> RouteNetlinkMessage {
    let other = |kind, bytes| TcFilterBpfOption::Other(DefaultNla::new(kind, bytes));
    let options = [
        other(TCA_BPF_OPS_LEN, program.instructions().to_ne_bytes().to_vec()),
        other(TCA_BPF_OPS, program.bytes()),
        TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
    ];
    let mut message = message(index, TcHandle { minor: way, ..TcHandle::CLSACT }, TcFilterBpf::KIND);
    message.header.info = PRIORITY << 16 | u32::from(ETH_P_ALL.to_be());
    message.attributes.push(TcAttribute::Options(options.into_iter().map(TcOption::Bpf).collect()));
    RouteNetlinkMessage::NewTrafficFilter(message)
}

fn message(index: u32, parent: TcHandle, kind: &str) -> TcMessage {
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = parent;
    message.attributes = vec![TcAttribute::Kind(kind.to_owned())];
    message
}
