//! The state of each end of a connection, as implied by its packets (RFC 9293, 3.3.2).

use super::{Flags, Seen, Segment, Side, sender::after};
use crate::capture::TcpState;

/// The states of both ends. A packet counts as received when it is seen, so the actual state may lag a little, or
/// stay behind if the packet was lost beyond the watched wire.
#[derive(Clone, Copy, Debug)]
pub struct States {
    ends: [End; 2],
}

#[derive(Clone, Copy, Debug)]
struct End {
    state: TcpState,
    /// The number after its FIN, relative to its SYN.
    fin: Option<u32>,
}

impl States {
    /// Returns the states before the first segment: of a new connection, or of one whose beginning was not seen.
    pub fn before(segment: &Segment<'_>) -> Self {
        let state = |listening| match segment.flags.has(Flags::SYN) {
            true if listening => TcpState::Listen,
            true => TcpState::Close,
            false => TcpState::Established,
        };
        Self { ends: [false, true].map(|listening| End { state: state(listening), fin: None }) }
    }

    /// Returns the state of this side.
    pub fn of(&self, side: Side) -> TcpState {
        self.ends[index(side)].state
    }

    /// Follows a TCP segment.
    pub fn push(&mut self, segment: &Segment<'_>, seen: &Seen) {
        let flags = segment.flags;
        let [mut sender, mut receiver] = [seen.by, seen.by.peer()].map(|side| self.ends[index(side)]);
        let [syn, ack, fin] = [Flags::SYN, Flags::ACK, Flags::FIN].map(|flag| flags.has(flag));
        let acks_fin = ack && receiver.fin.is_some_and(|fin| !after(fin, seen.ack));
        if flags.has(Flags::RST) {
            (sender.state, receiver.state) = (TcpState::Close, TcpState::Close);
        } else {
            if syn {
                sender.state = sender.after_its_syn(ack);
            }
            if ack {
                receiver.state = receiver.after_ack(syn, acks_fin);
            }
            if fin {
                sender.fin = Some(seen.seq.wrapping_add(segment.seq_len()));
                sender.state = sender.after_its_fin(acks_fin);
                receiver.state = receiver.after_fin();
            }
        }
        self.ends[index(seen.by)] = sender;
        self.ends[index(seen.by.peer())] = receiver;
    }
}

impl End {
    fn after_its_syn(self, ack: bool) -> TcpState {
        match self.state {
            TcpState::Close | TcpState::Listen if !ack => TcpState::SynSent,
            TcpState::Close | TcpState::Listen | TcpState::SynSent if ack => TcpState::SynRecv,
            other => other,
        }
    }

    fn after_ack(self, syn: bool, of_fin: bool) -> TcpState {
        match self.state {
            TcpState::SynSent if syn => TcpState::Established,
            TcpState::SynRecv => TcpState::Established,
            TcpState::FinWait1 if of_fin => TcpState::FinWait2,
            TcpState::Closing if of_fin => TcpState::TimeWait,
            TcpState::LastAck if of_fin => TcpState::Close,
            other => other,
        }
    }

    fn after_its_fin(self, acks_fin: bool) -> TcpState {
        match self.state {
            TcpState::Established | TcpState::SynRecv => TcpState::FinWait1,
            TcpState::CloseWait if acks_fin => TcpState::LastAck,
            // The two FINs crossed.
            TcpState::CloseWait => TcpState::Closing,
            other => other,
        }
    }

    fn after_fin(self) -> TcpState {
        match self.state {
            TcpState::Established | TcpState::SynRecv => TcpState::CloseWait,
            TcpState::FinWait1 => TcpState::Closing,
            TcpState::FinWait2 => TcpState::TimeWait,
            other => other,
        }
    }
}

fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}
