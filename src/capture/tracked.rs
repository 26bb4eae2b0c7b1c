//! Follows one TCP connection, segment by segment.

use std::{mem, net::SocketAddr};

use super::{
    Close, Conversation, Flags, Handshake, Seen, Segment, SeqAnalysis, Side, Step, analysis::End,
    sender::Sender,
};
use crate::time::Nanos;

/// What is known about a connection. There may be millions, so it holds nothing that follows from something else.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    client: End,
    server: End,
    /// The client's side and the server's side.
    sent: [Sender; 2],
    first: Nanos,
    last: Nanos,
    /// When the client's latest SYN passed.
    asked: Option<Nanos>,
    rtt: Option<Nanos>,
    closing: Box<[Step]>,
    opening: Handshake,
    close: Close,
    fin_by: Option<Side>,
    rst_by: Option<Side>,
}

impl Tracked {
    pub fn new(src: End, dst: End, segment: &Segment<'_>) -> Self {
        let from_client = match (segment.flags.has(Flags::SYN), segment.flags.has(Flags::ACK)) {
            (true, from_server) => !from_server,
            // Servers' ports are well known, and so lower than clients' ephemeral ones.
            (false, _) => dst.port <= src.port,
        };
        let (client, server) = if from_client { (src, dst) } else { (dst, src) };
        Self {
            client,
            server,
            sent: [Sender::default(), Sender::default()],
            first: segment.at,
            last: segment.at,
            asked: None,
            rtt: None,
            closing: Box::default(),
            opening: Handshake::None,
            close: Close::Open,
            fin_by: None,
            rst_by: None,
        }
    }

    /// Returns everything known about it.
    pub fn summary(&self, address: impl Fn(End) -> SocketAddr) -> Conversation {
        let [to_server, to_client] = [self.sent[0].flow(), self.sent[1].flow()];
        Conversation {
            client: address(self.client),
            server: address(self.server),
            client_name: None,
            server_name: None,
            packets: to_server.packets + to_client.packets,
            bytes: to_server.bytes + to_client.bytes,
            handshake: self.opening == Handshake::Complete,
            opening: self.opening,
            close: self.close,
            fin_by: self.fin_by,
            rst_by: self.rst_by,
            closing: self.closing.to_vec(),
            retransmissions: to_server.retransmissions + to_client.retransmissions,
            rtt_ns: self.rtt,
            first: self.first,
            last: self.last,
            to_server,
            to_client,
        }
    }

    /// Returns whether the segment opens another connection between the same ends: a SYN with another number,
    /// or any SYN after a complete connection.
    pub fn is_succeeded_by(&self, src: End, segment: &Segment<'_>) -> bool {
        let base = self.sender(self.side(src)).base();
        let is_syn = segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK);
        let is_over = self.close == Close::Rst || self.sent.iter().all(Sender::fin_acked);
        let is_whole = self.opening == Handshake::Complete && is_over;
        is_syn && (base.is_some_and(|base| base != segment.seq) || is_whole)
    }

    fn side(&self, src: End) -> Side {
        if src == self.client { Side::Client } else { Side::Server }
    }

    fn sender(&self, side: Side) -> &Sender {
        &self.sent[side as usize]
    }

    /// Takes the next segment; `conversation` is the number of this connection.
    pub fn push(&mut self, src: End, segment: &Segment<'_>, conversation: usize) -> Seen {
        let by = self.side(src);
        let analysis = self.follow(by, segment);
        let ack =
            if segment.flags.has(Flags::ACK) { self.sender(by.peer()).relative(segment.ack) } else { 0 };
        Seen { conversation, by, seq: self.sender(by).relative(segment.seq), ack, analysis }
    }

    fn follow(&mut self, by: Side, segment: &Segment<'_>) -> SeqAnalysis {
        self.first = self.first.min(segment.at);
        self.last = self.last.max(segment.at);
        let is_first_rst = self.is_first_rst(by, segment);
        let [client, server] = &mut self.sent;
        let (sender, peer) = if by == Side::Client { (client, server) } else { (server, client) };
        sender.pass(segment);
        let is_copy =
            sender.was_elsewhere(segment) && sender.has_sent(segment) && !peer.acks_new_data(segment);
        if is_copy && !is_first_rst {
            sender.count(SeqAnalysis::Copy);
            return SeqAnalysis::Copy;
        }
        let was_closed = sender.fin_acked() && peer.fin_acked();
        let had_fin = sender.has_fin();
        let analysis = sender.send(segment, peer, self.rtt);
        let acks_fin = segment.flags.has(Flags::ACK) && peer.acknowledge(segment);
        self.open(by, segment);
        if !was_closed {
            let is_fin = segment.flags.has(Flags::FIN) && !had_fin;
            self.close(by, segment, is_fin, acks_fin);
        }
        analysis
    }

    fn is_first_rst(&self, by: Side, segment: &Segment<'_>) -> bool {
        segment.flags.has(Flags::RST) && !self.closing.iter().any(|step| step.is_rst_of(by))
    }

    /// Follows the handshake.
    fn open(&mut self, by: Side, segment: &Segment<'_>) {
        if self.opening == Handshake::Complete {
            return;
        }
        if segment.flags.has(Flags::SYN) {
            self.opening = Handshake::Partial;
            if by == Side::Client {
                self.asked = Some(segment.at);
            }
            // A new attempt, so the RST was not for this one.
            if self.rst_by.take().is_some() {
                self.close = Close::Open;
                self.closing = Box::default();
            }
        }
        if self.sent.iter().all(Sender::syn_acked) && !segment.flags.has(Flags::RST) {
            self.opening = Handshake::Complete;
            // `None` if the clock was set back meanwhile.
            self.rtt = self.asked.and_then(|asked| segment.at.checked_sub(asked));
        }
    }

    /// Follows the closing, until it is over.
    fn close(&mut self, by: Side, segment: &Segment<'_>, is_fin: bool, acks_fin: bool) {
        let flags = segment.flags;
        let is_rst = self.is_first_rst(by, segment);
        if is_fin {
            self.fin_by.get_or_insert(by);
        }
        if is_rst {
            self.rst_by.get_or_insert(by);
            self.close = Close::Rst;
        }
        if self.close == Close::Open && self.sent.iter().all(Sender::has_fin) {
            self.close = Close::Fin;
        }
        let is_ack = acks_fin && segment.len == 0 && !flags.has(Flags::FIN);
        if is_fin || is_rst || is_ack {
            let mut closing = mem::take(&mut self.closing).into_vec();
            closing.push(Step { by, flags });
            self.closing = closing.into_boxed_slice();
        }
    }
}
