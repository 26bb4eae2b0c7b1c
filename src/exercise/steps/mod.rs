//! Steps: how a file writes them, and the actions they consist of.

mod action;
mod resolve;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use action::{Action, Part, Recipient, Which};
pub(super) use resolve::resolve;

use super::facts::Facts;
use crate::yaml::Text;

/// One step. It has at most one action (`start`, `type`, `send`, `eof`, `signal`, `link`, `power`).
/// It may `say` something before, and `wait` and `look` afterwards. Or it is a group of `steps`, which
/// may `say` something before.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Which of the exercise's `programs` this is about. If another one is judged, it is left out.
    #[serde(default)]
    pub about: Option<String>,
    /// A text shown before the step is done.
    #[serde(default)]
    pub say: Option<Text>,
    /// Starts a program under this name. Needs `on`, and `program` or `run`.
    #[serde(default)]
    pub start: Option<Text>,
    /// The host to start it on: `server`, `client1`, `client2`, …
    #[serde(default)]
    pub on: Option<Text>,
    /// Which of the exercise's `programs` to start.
    #[serde(default)]
    pub program: Option<String>,
    /// A command to start that is not a program under examination.
    #[serde(default)]
    pub run: Option<Text>,
    /// Types a line into the program that `to` names.
    #[serde(default, rename = "type")]
    pub type_line: Option<Text>,
    /// Sends this many bytes, without a line feed, to the program that `to` names.
    #[serde(default)]
    pub send: Option<usize>,
    /// What `type`, `send` and `signal` go to: a started program, e.g. `a`. A signal can also go to
    /// `server.parent` (the process that listens), `server.child` (its newest child),
    /// `server.children` (each of them), `server.zombies` or `server.group` (its process group).
    #[serde(default)]
    pub to: Option<Text>,
    /// Ends the standard input of this program, as ^D does.
    #[serde(default)]
    pub eof: Option<Text>,
    /// Sends this signal to what `to` names, e.g. `INT`, as ^C does.
    #[serde(default)]
    pub signal: Option<String>,
    /// Looks at every host and keeps what it sees under this name, for checks to refer to.
    #[serde(default)]
    pub look: Option<Text>,
    /// Does `steps` this many times; `{n}` counts from 1.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub times: Option<usize>,
    /// A group of steps: those that `times` repeats, or that belong together.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Cuts or restores this host's link.
    #[serde(default)]
    pub link: Option<LinkStep>,
    /// Stops this host, as if its power were cut, or starts it again.
    #[serde(default)]
    pub power: Option<PowerStep>,
    /// Continues when these facts hold, or when the time is up. The checks then decide.
    #[serde(default)]
    pub wait: Option<Facts<Text>>,
    /// Continues when these facts hold. If the time runs out first, every check about a later moment
    /// is an error.
    #[serde(default)]
    pub require: Option<Facts<Text>>,
    /// Maximum time that `wait` and `require` wait, in milliseconds.
    #[serde(default = "five_seconds")]
    pub within_ms: u64,
}

/// Cuts or restores a host's link.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkStep {
    /// The host.
    pub host: Text,
    /// `up` or `down`.
    pub state: Switch,
}

/// Cuts or restores a host's power.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerStep {
    /// The host.
    pub host: Text,
    /// `up` or `down`.
    pub state: Switch,
}

/// Up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It works.
    Up,
    /// It does not work.
    Down,
}

fn five_seconds() -> u64 {
    5000
}
