//! Facts about the TCP conversations on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Count;
use crate::{
    capture::{Close, Side},
    exercise::names::Names,
    yaml::{Path, Text, bind},
};

/// TCP conversations with one of the exercise's ports.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversationFact<T = String> {
    /// The client's host; by default, any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<T>,
    /// Which of the exercise's ports; `port` if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// How many conversations match the other keys.
    pub count: Count,
    /// Whether it began with SYN, SYN+ACK, ACK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake: Option<bool>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<Close>,
    /// Who sent the first FIN, or the RST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<Side>,
    /// How many TCP segments the close took, from the first FIN to the last ACK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing_segments: Option<Count>,
    /// Bytes that the client sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_bytes: Option<Count>,
    /// How many TCP segments were retransmitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmissions: Option<Count>,
    /// Whether the server sent back as many bytes as the client sent, and at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echoed: Option<bool>,
}

impl ConversationFact<Text> {
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        if let Some(host) = &self.from {
            names.host(&path.key("from"), host);
        }
        names.port(path, self.port.as_deref());
        self.count.check(names, &path.key("count"));
    }
}

bind!(ConversationFact { from; port, count, handshake, close, closed_by, closing_segments, client_bytes, retransmissions, echoed });
