//! Steps: what a file says of one, and what it comes to.

mod action;
mod resolve;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use action::{Action, Part, Recipient, Which};
pub(super) use resolve::resolve;

use super::facts::Facts;
use crate::yaml::Text;

/// One thing that is done. It has at most one action (`start`, `type`, `send`, `eof`, `signal`,
/// `link`, `power`), and may say something before, and wait for something and look after. Or it is a
/// group of `steps`, which may say something before.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Which of the exercise's `programs` this is about. Where another one is judged, it is left out.
    #[serde(default)]
    pub about: Option<String>,
    /// Told before it is done.
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
    /// A command to start that is no program under examination.
    #[serde(default)]
    pub run: Option<Text>,
    /// Types a line into the program that `to` names.
    #[serde(default, rename = "type")]
    pub type_line: Option<Text>,
    /// Sends that many bytes, without a line feed, to the program that `to` names.
    #[serde(default)]
    pub send: Option<usize>,
    /// Whom `type`, `send` and `signal` go to: a started program, as `a`; for a signal also
    /// `server.parent` (the process that listens), `server.child` (its newest child),
    /// `server.children` (each of them), `server.zombies` or `server.group` (its process group).
    #[serde(default)]
    pub to: Option<Text>,
    /// Ends the standard input of this program, as ^D does.
    #[serde(default)]
    pub eof: Option<Text>,
    /// Sends this signal to whom `to` names, as `INT` (^C does that).
    #[serde(default)]
    pub signal: Option<String>,
    /// Looks at every host and keeps what is seen under this name, for checks to ask about.
    #[serde(default)]
    pub look: Option<Text>,
    /// Does `steps` that many times; `{n}` counts from 1.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub times: Option<usize>,
    /// A group of steps: what `times` repeats, or what belongs together.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Cuts this host's link, or mends it.
    #[serde(default)]
    pub link: Option<LinkStep>,
    /// Stops this host, as if its power were cut, or starts it again.
    #[serde(default)]
    pub power: Option<PowerStep>,
    /// Goes on when these hold, or when the time is up: then the checks will tell.
    #[serde(default)]
    pub wait: Option<Facts<Text>>,
    /// Goes on when these hold. If the time runs out first, nothing can be told: every check that
    /// looks at a later moment is an error.
    #[serde(default)]
    pub require: Option<Facts<Text>>,
    /// How long `wait` and `require` wait at most, in milliseconds.
    #[serde(default = "five_seconds")]
    pub within_ms: u64,
}

/// Cuts or mends a host's link.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkStep {
    /// The host.
    pub host: Text,
    /// `up` or `down`.
    pub state: Switch,
}

/// Cuts a host's power, or gives it back.
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
    /// Works.
    Up,
    /// Does not.
    Down,
}

fn five_seconds() -> u64 {
    5000
}
