//! Facts about the TCP conversations on the wire.

use super::{Finding, Subject};
use crate::{
    capture::{Close, Conversation},
    exercise::facts::ConversationFact,
    judge::snapshot::Snapshot,
};

impl ConversationFact {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        let talks = self.talks(snapshot);
        let objections: Vec<Vec<String>> = talks.iter().map(|c| self.objections(c)).collect();
        let n = objections.iter().filter(|o| o.is_empty()).count() as u64;
        let holds = self.count.admits(n);
        let from =
            self.from.as_deref().map(|part| format!(" from {}", snapshot.host(part))).unwrap_or_default();
        let (total, asked) = (talks.len(), self.asked());
        let mut observed = match total {
            0 => format!("no conversation{from} (expected {}{asked})", self.count),
            1 => format!("{n} of 1 conversation{from}{asked} (expected {})", self.count),
            _ => format!("{n} of {total} conversations{from}{asked} (expected {})", self.count),
        };
        let strange = snapshot.strange_talks(snapshot.port(self.port.as_deref()));
        if strange > 0 {
            observed +=
                &format!("; not counted: {strange} served by a process that was there before the program");
        }
        for objection in objections.iter().flatten().filter(|_| !holds) {
            observed += "; ";
            observed += objection;
        }
        Finding { holds, observed, evidence: talks.iter().map(|c| tell(snapshot, c)).collect() }
    }

    /// The first conversation that is not as wanted: its beginning if the handshake is wrong, otherwise its end.
    pub(super) fn subject(&self, snapshot: &Snapshot) -> Option<Subject> {
        let talk = self.talks(snapshot).into_iter().find(|talk| !self.objections(talk).is_empty())?;
        let begins = self.handshake.is_some_and(|wanted| wanted != talk.handshake);
        Some(Subject::Segment(talk.client, if begins { talk.first } else { talk.last }))
    }
}

impl ConversationFact {
    /// The conversations that it is about.
    fn talks(&self, snapshot: &Snapshot) -> Vec<Conversation> {
        let from = self.from.as_deref().map(|part| snapshot.host(part));
        let talks = snapshot.talks(snapshot.port(self.port.as_deref()));
        talks.filter(|c| from.is_none_or(|host| snapshot.names.get(c.client.ip()) == Some(host))).collect()
    }

    /// Describes the wanted conversations, in words that follow the noun.
    fn asked(&self) -> String {
        let handshake = |has| if has { "with a complete handshake" } else { "without a complete handshake" };
        let echoed = |is| if is { "echoed in full" } else { "not echoed in full" };
        let words = [
            self.handshake.map(|has| handshake(has).to_owned()),
            self.close.map(|close| closed(close).to_owned()),
            self.closed_by.map(|side| format!("closed first by the {side}")),
            self.closing_segments.map(|n| format!("closed in {n} segments")),
            self.retransmissions.map(|n| format!("with {n} retransmissions")),
            self.client_bytes.map(|n| format!("with {n} bytes from the client")),
            self.echoed.map(|is| echoed(is).to_owned()),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        if words.is_empty() { String::new() } else { format!(" {}", words.join(", ")) }
    }

    /// Returns what is not as wanted about a conversation.
    fn objections(&self, talk: &Conversation) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut object = |is_so: bool, words: String| {
            if !is_so {
                wrong.push(words);
            }
        };
        if let Some(wanted) = self.handshake {
            let has = if talk.handshake { "a complete handshake" } else { "no complete handshake" };
            object(talk.handshake == wanted, has.into());
        }
        if let Some(wanted) = self.close {
            object(talk.close == wanted, closed(talk.close).into());
        }
        if let Some(wanted) = self.closed_by {
            let by = talk.fin_by.or(talk.rst_by);
            let words =
                by.map_or("neither side closed".to_owned(), |side| format!("the {side} closed first"));
            object(by == Some(wanted), words);
        }
        if let Some(wanted) = self.closing_segments {
            let n = talk.closing.len();
            object(wanted.admits(n as u64), format!("{n} closing segments (expected {wanted})"));
        }
        if let Some(wanted) = self.retransmissions {
            let n = talk.retransmissions;
            object(wanted.admits(n), format!("{n} retransmissions (expected {wanted})"));
        }
        let (sent, back) = (talk.to_server.payload, talk.to_client.payload);
        if let Some(wanted) = self.client_bytes {
            object(wanted.admits(sent), format!("the client sent {sent} bytes (expected {wanted})"));
        }
        if let Some(wanted) = self.echoed {
            let echoed = sent > 0 && sent == back;
            object(echoed == wanted, format!("the client sent {sent} bytes, and the server {back}"));
        }
        wrong
    }
}

fn closed(close: Close) -> &'static str {
    match close {
        Close::Fin => "closed by FIN",
        Close::Rst => "closed by RST",
        Close::Open => "not closed",
    }
}

/// Describes a conversation in one line.
fn tell(snapshot: &Snapshot, talk: &Conversation) -> String {
    let steps = talk.closing.iter().map(|step| format!("{} {}", step.by, step.flags));
    let steps = steps.collect::<Vec<_>>().join(", ");
    format!(
        "{} → {}: {} packets, {} bytes sent and {} back, handshake {}, {} ({steps})",
        snapshot.names.endpoint(talk.client),
        snapshot.names.endpoint(talk.server),
        talk.packets,
        talk.to_server.payload,
        talk.to_client.payload,
        if talk.handshake { "complete" } else { "not complete" },
        closed(talk.close),
    )
}
