//! The messages between a lab's keeper, its clients and the programs that it starts.

use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};

use super::assert_comes_back;
use crate::{
    runtime::{
        namespaces::{
            launch::{Answer, Launch},
            protocol::{Order, Outcome, Reply, Request, receive},
        },
        wire::{machine, sender},
    },
    topology::Plan,
};

/// Reads one message; the first byte selects the reader.
pub fn keeper(bytes: &[u8]) {
    let Some((kind, json)) = bytes.split_first() else { return };
    match kind % 8 {
        0 => over_a_socket(json),
        1 => match assert_comes_back(json) {
            Some(Reply::Exited(status)) => drop((status.code(), status.to_string())),
            Some(Reply::Failed(failure)) => drop(crate::Error::from(failure).with_causes()),
            _ => {}
        },
        2 => drop(assert_comes_back::<Order>(json).map(|order| plan(&order.plan))),
        3 => drop(assert_comes_back::<Outcome>(json)),
        4 => drop(assert_comes_back::<Launch>(json)),
        5 => drop(assert_comes_back::<Answer>(json)),
        6 => {
            for host in assert_comes_back(json).into_iter().flat_map(|order: machine::Order| order.hosts) {
                host.plan.links.iter().for_each(|link| filter(&sender::only(&host.plan, link)));
            }
        }
        _ => drop(assert_comes_back::<Plan>(json).map(|read| plan(&read))),
    }
}

/// Receives the message as it arrives: as a single packet.
fn over_a_socket(json: &[u8]) {
    let Ok((here, there)) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
    else {
        return;
    };
    // An empty packet would mean the end of the stream.
    if json.is_empty() || send(here.as_raw_fd(), json, MsgFlags::empty()).is_err() {
        return;
    }
    let read = receive::<Request>(there.as_fd());
    assert_eq!(read.is_ok(), assert_comes_back::<Request>(json).is_some());
    assert!(read.is_err() || matches!(read, Ok(Some((_, fds))) if fds.is_empty()));
}

/// Uses a plan, which comes from a file or from a container's label.
fn plan(plan: &Plan) {
    for host in &plan.hosts {
        assert!(plan.host(&host.name).is_some());
        host.links.iter().for_each(|link| filter(&sender::only(host, link)));
    }
}

/// Asserts that the filter has as many instructions as it says.
fn filter(program: &sender::Program) {
    assert_eq!(program.bytes().len(), usize::from(program.instructions()) * 8);
}
