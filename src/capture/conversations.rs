//! TCP segments, one by one, into connections.

use std::{collections::HashMap, net::SocketAddr};

use super::{Close, Conversation, Flags, Flow, Handshake, Names, Segment, Side, Step, sender::Sender};

/// Every TCP connection of a capture. Takes segments as they pass, live or from a file; its memory
/// grows with the connections and not with the packets.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    /// Where the latest connection between two addresses is in `all`. Lower address first.
    latest: HashMap<(SocketAddr, SocketAddr), usize>,
    all: Vec<Tracked>,
}

/// What a segment was to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The connection, for [`Conversations::get`].
    pub conversation: usize,
    /// Who sent it.
    pub by: Side,
    /// Its sequence number, counted from the sender's SYN.
    pub seq: u32,
    /// Its acknowledgment number, counted from the other side's SYN.
    pub ack: u32,
    /// Whether anything in it had not passed before.
    pub novelty: Novelty,
}

/// Whether a segment brought something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// It did, or it only acknowledged.
    New,
    /// It carried again what had been sent before: it had passed, or came after a round trip to fill a gap.
    Retransmission,
    /// It was overtaken: it filled a gap before anybody could have noticed that.
    OutOfOrder,
    /// It asked whether the other side is still there.
    KeepAlive,
    /// It asked whether the other side's window is still shut.
    WindowProbe,
    /// The same packet as seen on another interface.
    Copy,
}

#[derive(Clone, Debug)]
struct Tracked {
    told: Conversation,
    client: Sender,
    server: Sender,
}

impl Conversations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next segment.
    pub fn push(&mut self, segment: &Segment<'_>) -> Seen {
        let (src, dst) = (segment.src, segment.dst);
        let latest =
            self.latest.entry(if src <= dst { (src, dst) } else { (dst, src) }).or_insert(usize::MAX);
        if self.all.get(*latest).is_none_or(|tracked| tracked.is_succeeded_by(segment)) {
            *latest = self.all.len();
            self.all.push(Tracked::new(segment));
        }
        let conversation = *latest;
        let tracked = &mut self.all[conversation];
        let by = tracked.side(segment);
        let novelty = tracked.push(by, segment);
        let (seq, ack) = (tracked.sender(by).relative(segment.seq), tracked.sender(by.peer()));
        let ack = if segment.flags.has(Flags::ACK) { ack.relative(segment.ack) } else { 0 };
        Seen { conversation, by, seq, ack, novelty }
    }

    /// The connections in the order in which they began.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Conversation> {
        self.all.iter().map(|tracked| &tracked.told)
    }

    /// The connection that [`Seen::conversation`] means.
    pub fn get(&self, conversation: usize) -> Option<&Conversation> {
        self.all.get(conversation).map(|tracked| &tracked.told)
    }

    /// Fills in the host names, where they are known.
    pub fn name(&mut self, names: &Names) {
        for Tracked { told, .. } in &mut self.all {
            told.client_name = names.get(told.client.ip()).map(str::to_owned);
            told.server_name = names.get(told.server.ip()).map(str::to_owned);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Tracked {
    fn new(segment: &Segment<'_>) -> Self {
        let (src, dst) = (segment.src, segment.dst);
        let from_client = match (segment.flags.has(Flags::SYN), segment.flags.has(Flags::ACK)) {
            (true, from_server) => !from_server,
            // Servers' ports are well known, and so lower than a client's ephemeral one.
            (false, _) => dst.port() <= src.port(),
        };
        let (client, server) = if from_client { (src, dst) } else { (dst, src) };
        let told = Conversation {
            client,
            server,
            client_name: None,
            server_name: None,
            packets: 0,
            bytes: 0,
            handshake: false,
            opening: Handshake::None,
            close: Close::Open,
            fin_by: None,
            rst_by: None,
            closing: Vec::new(),
            retransmissions: 0,
            rtt_ns: None,
            first: segment.at,
            last: segment.at,
            to_server: Flow::default(),
            to_client: Flow::default(),
        };
        Self { told, client: Sender::default(), server: Sender::default() }
    }

    /// Whether the segment opens another connection between the same addresses: a SYN of another
    /// number, or any SYN after a whole connection.
    fn is_succeeded_by(&self, segment: &Segment<'_>) -> bool {
        let sender = self.sender(self.side(segment));
        let is_syn = segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK);
        let is_over = self.told.close == Close::Rst || self.is_closed();
        is_syn && (sender.base.is_some_and(|base| base != segment.seq) || self.told.handshake && is_over)
    }

    fn side(&self, segment: &Segment<'_>) -> Side {
        if segment.src == self.told.client { Side::Client } else { Side::Server }
    }

    fn sender(&self, side: Side) -> &Sender {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// Both sides' FINs were acknowledged.
    fn is_closed(&self) -> bool {
        self.client.fin_acked() && self.server.fin_acked()
    }

    fn push(&mut self, by: Side, segment: &Segment<'_>) -> Novelty {
        let flow = match by {
            Side::Client => &mut self.told.to_server,
            Side::Server => &mut self.told.to_client,
        };
        flow.packets += 1;
        flow.bytes += u64::from(segment.frame_len);
        self.told.packets += 1;
        self.told.bytes += u64::from(segment.frame_len);
        self.told.first = self.told.first.min(segment.at);
        self.told.last = self.told.last.max(segment.at);
        let (sender, peer) = match by {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        let elsewhere = sender.interface.is_some_and(|interface| interface != segment.interface);
        let reset = segment.flags.has(Flags::RST) && !self.told.closing.iter().any(|step| step.is_rst_of(by));
        if elsewhere && !reset && sender.has_sent(segment) && !peer.has_news(segment) {
            flow.copies += 1;
            return Novelty::Copy;
        }
        sender.interface = Some(segment.interface);
        let was_closed = sender.fin_acked() && peer.fin_acked();
        let had_fin = sender.has_fin();
        let (novelty, fresh) = sender.send(segment, peer.window(), self.told.rtt_ns);
        flow.payload += u64::from(fresh);
        match novelty {
            Novelty::Retransmission => {
                flow.retransmissions += 1;
                self.told.retransmissions += 1;
            }
            Novelty::OutOfOrder => flow.out_of_order += 1,
            Novelty::KeepAlive => flow.keepalives += 1,
            Novelty::WindowProbe => flow.window_probes += 1,
            Novelty::New | Novelty::Copy => {}
        }
        let acks_fin = segment.flags.has(Flags::ACK) && peer.acknowledge(segment);
        self.open(segment);
        if !was_closed {
            let is_fin = segment.flags.has(Flags::FIN) && !had_fin;
            self.close(by, segment, is_fin, acks_fin);
        }
        novelty
    }

    /// Follows the handshake.
    fn open(&mut self, segment: &Segment<'_>) {
        if self.told.handshake {
            return;
        }
        if segment.flags.has(Flags::SYN) {
            self.told.opening = Handshake::Partial;
            // Asked once more, so the RST was not for this attempt.
            if self.told.rst_by.take().is_some() {
                self.told.close = Close::Open;
                self.told.closing.clear();
            }
        }
        if self.client.syn_acked() && self.server.syn_acked() && !segment.flags.has(Flags::RST) {
            self.told.opening = Handshake::Complete;
            self.told.handshake = true;
            self.told.rtt_ns = self.client.syn.map(|at| segment.at.saturating_sub(at));
        }
    }

    /// Follows the closing, until it is over.
    fn close(&mut self, by: Side, segment: &Segment<'_>, is_fin: bool, acks_fin: bool) {
        let flags = segment.flags;
        let is_rst = flags.has(Flags::RST) && !self.told.closing.iter().any(|step| step.is_rst_of(by));
        if is_fin {
            self.told.fin_by.get_or_insert(by);
        }
        if is_rst {
            self.told.rst_by.get_or_insert(by);
            self.told.close = Close::Rst;
        }
        if self.told.close == Close::Open && self.client.has_fin() && self.server.has_fin() {
            self.told.close = Close::Fin;
        }
        let is_ack = acks_fin && segment.len == 0 && !flags.has(Flags::FIN);
        if is_fin || is_rst || is_ack {
            self.told.closing.push(Step { by, flags });
        }
    }
}
