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
    /// Their state, as netstat spells it; by default, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TcpState>,
    /// Who holds them; by default, anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whether their local port is ephemeral: chosen by the kernel, and none of the exercise's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<bool>,
    /// Recv-Q: bytes received and not yet read; for a listening socket, connections not yet accepted.
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
    /// Only the process that listens.
    Parent,
    /// Only children of the process that listens.
    Child,
    /// Exactly one child, a different one for each socket.
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
