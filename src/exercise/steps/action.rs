//! The actions that steps consist of: each does one thing, and has all that it needs.

use serde::{Deserialize, Serialize};

use super::Switch;
use crate::{
    exercise::facts::Facts,
    yaml::{Bind, Text, Values},
};

/// A step of a template, or a group of them.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which of the exercise's programs it is about. If another one is judged, it is left out.
    pub about: Option<String>,
    /// What is done, in order.
    pub actions: Vec<Action<Text>>,
    /// What is done after that.
    pub parts: Vec<Part>,
    /// How often the parts are done, with `{n}` counting from 1; by default once, without `{n}`.
    pub times: Option<usize>,
}

/// One thing that is done. Its names are the exercise's: `server` is a host, whatever the lab calls it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Action<T = String> {
    /// Announces what comes next.
    Say(T),
    /// Starts a command on a host, as the program with that name.
    Start {
        /// The program's name from now on.
        name: T,
        /// The host.
        on: T,
        /// The command.
        command: T,
        /// Which of the exercise's programs it is, if any.
        program: Option<String>,
    },
    /// Types a line into a program.
    Type {
        /// The program.
        to: T,
        /// The line, without the line feed.
        line: T,
    },
    /// Sends this many bytes to a program, without a line feed.
    Send {
        /// The program.
        to: T,
        /// How many.
        bytes: usize,
    },
    /// Ends a program's standard input.
    Eof(T),
    /// Sends a signal.
    Signal {
        /// The receiving processes.
        to: Recipient<T>,
        /// Its number.
        signal: i32,
    },
    /// Cuts or restores a host's link.
    Link {
        /// The host.
        host: T,
        /// What becomes of it.
        state: Switch,
    },
    /// Cuts or restores a host's power.
    Power {
        /// The host.
        host: T,
        /// What becomes of it.
        state: Switch,
    },
    /// Continues when these facts hold, or when the time is up.
    Wait {
        /// What is waited for.
        facts: Facts<T>,
        /// For how long at most, in milliseconds.
        within_ms: u64,
    },
    /// Continues when these facts hold. If the time runs out first, nothing later can be decided.
    Require {
        /// What is waited for.
        facts: Facts<T>,
        /// For how long at most, in milliseconds.
        within_ms: u64,
    },
    /// Looks at every host, and keeps what it sees under this name.
    Look(T),
}

/// The processes that a signal goes to, e.g. `server.child`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Recipient<T = String> {
    /// A started program.
    pub program: T,
    /// Which of its processes.
    pub which: Which,
}

/// Which of a program's processes a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The one that was started.
    First,
    /// The one that listens.
    Parent,
    /// The newest child.
    Child,
    /// Each child.
    Children,
    /// Each process that has ended and has not been waited for.
    Zombies,
    /// The process group of the one that listens.
    Group,
}

impl Which {
    /// Those that an exercise file can name, e.g. `child` in `server.child`.
    pub const NAMED: [(&str, Self); 5] = [
        ("parent", Self::Parent),
        ("child", Self::Child),
        ("children", Self::Children),
        ("zombies", Self::Zombies),
        ("group", Self::Group),
    ];
}

impl Bind for Action<Text> {
    type Bound = Action;

    fn bind(&self, values: Values<'_>) -> Action {
        match self {
            Self::Say(text) => Action::Say(text.bind(values)),
            Self::Start { name, on, command, program } => Action::Start {
                name: name.bind(values),
                on: on.bind(values),
                command: command.bind(values),
                program: program.clone(),
            },
            Self::Type { to, line } => Action::Type { to: to.bind(values), line: line.bind(values) },
            Self::Send { to, bytes } => Action::Send { to: to.bind(values), bytes: *bytes },
            Self::Eof(program) => Action::Eof(program.bind(values)),
            Self::Signal { to: Recipient { program, which }, signal } => Action::Signal {
                to: Recipient { program: program.bind(values), which: *which },
                signal: *signal,
            },
            Self::Link { host, state } => Action::Link { host: host.bind(values), state: *state },
            Self::Power { host, state } => Action::Power { host: host.bind(values), state: *state },
            Self::Wait { facts, within_ms } => {
                Action::Wait { facts: facts.bind(values), within_ms: *within_ms }
            }
            Self::Require { facts, within_ms } => {
                Action::Require { facts: facts.bind(values), within_ms: *within_ms }
            }
            Self::Look(name) => Action::Look(name.bind(values)),
        }
    }
}
