//! Facts about the sockets of a host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Count;
use crate::{
    capture::TcpState,
    exercise::names::Names,
    yaml::{Path, Text, bind},
};

/// TCP sockets of one host with one of the exercise's ports at either end.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sockets<T = String> {
    /// The host.
    pub on: T,
    /// Which of the exercise's ports; `port` if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Their state, as netstat spells it; any if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TcpState>,
    /// Who holds them; anyone if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whether the kernel chose the number of their own port: it is none of the exercise's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<bool>,
    /// Received and not yet read: bytes, or for a listening socket connections not yet accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recv_q: Option<Count>,
    /// How many there are.
    pub count: Count,
}

/// Who holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// No process (netstat's `-`).
    Nobody,
    /// The process that listens, and no other.
    Parent,
    /// Children of the process that listens, and no other.
    Child,
    /// Exactly one child, and each socket another one.
    OwnChild,
}

impl Sockets<Text> {
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        names.host(&path.key("on"), &self.on);
        names.port(path, self.port.as_deref());
        self.count.check(names, &path.key("count"));
    }
}

bind!(Sockets { on; port, state, owner, ephemeral, recv_q, count });
