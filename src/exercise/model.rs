//! What an exercise file says. `exercises/README.md` teaches how to write one.
//!
//! The same [`Facts`] serve twice: a step waits until they hold, and a check asks whether they did.

use std::{collections::BTreeMap, fmt};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    capture::TcpState,
    capture::{Close, Side},
};

/// One section of an assignment: what is done, and what it must show.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exercise {
    /// The name by which it is run, as `2` in `netlab exercise 2`.
    pub id: String,
    /// What it is about, in a few words.
    pub title: String,
    /// What the assignment asks.
    pub asks: String,
    /// The answer, given with `--explain`.
    #[serde(default)]
    pub explain: String,
    /// How many client hosts the lab must have at least.
    #[serde(default = "one")]
    #[schemars(range(max = 1000))]
    pub clients: usize,
    /// The ports that servers are to use, by name: `{port}` is the first one a reader meets. If
    /// anything of the server host uses one, the next free one takes its place.
    pub ports: IndexMap<String, u16>,
    /// Programs under examination, by name; a student's own take their place.
    #[serde(default)]
    pub programs: IndexMap<String, String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// What must have shown.
    pub checks: Vec<Check>,
}

/// One thing that is done. It has at most one action (`start`, `type`, `send`, `eof`, `signal`,
/// `link`, `power`), and may say something before, and wait for something and look after. Or it is a
/// group of `steps`, which may say something before.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Which of the exercise's `programs` this is about. Where another one is judged, it is left out.
    #[serde(default)]
    pub about: Option<String>,
    /// Told before it is done.
    #[serde(default)]
    pub say: Option<String>,
    /// Starts a program under this name. Needs `on`, and `program` or `run`.
    #[serde(default)]
    pub start: Option<String>,
    /// The host to start it on: `server`, `client1`, `client2`, …
    #[serde(default)]
    pub on: Option<String>,
    /// Which of the exercise's `programs` to start.
    #[serde(default)]
    pub program: Option<String>,
    /// A command to start that is no program under examination.
    #[serde(default)]
    pub run: Option<String>,
    /// Types a line into the program that `to` names.
    #[serde(default, rename = "type")]
    pub type_line: Option<String>,
    /// Sends that many bytes, without a line feed, to the program that `to` names.
    #[serde(default)]
    pub send: Option<usize>,
    /// Whom `type`, `send` and `signal` go to: a started program, as `a`; for a signal also
    /// `server.parent` (the process that listens), `server.child` (its newest child),
    /// `server.children` (each of them), `server.zombies` or `server.group` (its process group).
    #[serde(default)]
    pub to: Option<String>,
    /// Ends the standard input of this program, as ^D does.
    #[serde(default)]
    pub eof: Option<String>,
    /// Sends this signal to whom `to` names, as `INT` (^C does that).
    #[serde(default)]
    pub signal: Option<String>,
    /// Looks at every host and keeps what is seen under this name, for checks to ask about.
    #[serde(default)]
    pub look: Option<String>,
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
    pub wait: Option<Facts>,
    /// Goes on when these hold. If the time runs out first, nothing can be told: every check that
    /// looks at a later moment is an error.
    #[serde(default)]
    pub require: Option<Facts>,
    /// How long `wait` and `require` wait at most, in milliseconds.
    #[serde(default = "five_seconds")]
    pub within_ms: u64,
}

/// Cuts or mends a host's link.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkStep {
    /// The host.
    pub host: String,
    /// `up` or `down`.
    pub state: Switch,
}

/// Cuts a host's power, or gives it back.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerStep {
    /// The host.
    pub host: String,
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

/// What must have shown.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// A stable name; graders depend on it.
    pub id: String,
    /// Which of the exercise's `programs` this judges. Without it, it is about the lab's own
    /// variants, and says nothing of a student's program.
    #[serde(default)]
    pub about: Option<String>,
    /// What is expected, in words.
    pub expect: String,
    /// Hints in stages, for a check that failed.
    #[serde(default)]
    pub hints: Vec<String>,
    /// At which `look`; at the end if unset.
    #[serde(default)]
    pub at: Option<String>,
    /// What must hold then.
    pub show: Facts,
}

/// Facts about a lab at one moment; all of them must hold. Each may be one or a list.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// This program (or a child of it) listens on one of the exercise's ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listens: Option<String>,
    /// Sockets of a host.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Sockets>")]
    pub sockets: Vec<Sockets>,
    /// Processes of a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Processes>")]
    pub processes: Vec<Processes>,
    /// TCP conversations on the wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<ConversationFact>")]
    pub conversations: Vec<ConversationFact>,
    /// What a started program printed, or how it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Outcome>")]
    pub program: Vec<Outcome>,
    /// Signals that steps have sent to a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Signaled>")]
    pub signaled: Vec<Signaled>,
    /// What several programs printed, compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Outputs>")]
    pub outputs: Vec<Outputs>,
    /// Processor time that a program used.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Cpu>")]
    pub cpu: Vec<Cpu>,
    /// Descriptors that a program's parent process holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Descriptors>")]
    pub descriptors: Vec<Descriptors>,
}

/// TCP sockets of one host with one of the exercise's ports at either end.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sockets {
    /// The host.
    pub on: String,
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

/// Processes of a started program.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Processes {
    /// The program, by the name it was started under.
    pub of: String,
    /// Which of its processes; all if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// Their state letters as in `ps`, any of them, as `S` or `SR`; any but zombies if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Zombies that ended so: an exit code, or the name of a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died: Option<Ended>,
    /// They have handlers for these signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catch: Vec<String>,
    /// They ignore these signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// How many there are.
    pub count: Count,
}

/// Which of a program's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The one that listens.
    Parent,
    /// Those that the parent forked, or that descend from it, but for orphans.
    Child,
    /// Children whose parent has died, so that PID 1 is their parent now.
    Orphan,
}

/// TCP conversations with one of the exercise's ports.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversationFact {
    /// The client's host; any if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Which of the exercise's ports; `port` if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// How many there are that are as the following keys say.
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
    /// How many segments the close took, from the first FIN to the last ACK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing_segments: Option<Count>,
    /// Bytes that the client sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_bytes: Option<Count>,
    /// How many segments were sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmissions: Option<Count>,
    /// Whether the server sent back as many bytes as the client sent, and some at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echoed: Option<bool>,
}

/// Processor time that a program's processes used since a look.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// The program, by the name it was started under.
    pub of: String,
    /// Since which look.
    pub since: String,
    /// How much, in ticks of 10 ms.
    pub ticks: Count,
}

/// Descriptors that the parent process of a program holds, beyond those it held at a look.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Descriptors {
    /// The program, by the name it was started under.
    pub of: String,
    /// Since which look.
    pub since: String,
    /// How many more there are; none where there are fewer.
    pub more: Count,
}

/// What a started program printed, or how it ended.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The name it was started under.
    pub name: String,
    /// A text in a line of its standard output or standard error; `…` in it stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prints: Option<String>,
    /// In how many lines; at least one if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Count>,
    /// How many of these lines differ from each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub different: Option<Count>,
    /// How it ended: an exit code, or the name of the signal that ended it; `running` if it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// Signals that steps have sent to processes of a program.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signaled {
    /// The program, by the name it was started under.
    pub of: String,
    /// Which signal, as `KILL`.
    pub signal: String,
    /// How many processes have got it, each as often as it was sent.
    pub count: Count,
}

/// What several programs printed, compared with each other.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The programs, by the names they were started under.
    pub of: Vec<String>,
    /// How many different texts they printed; 1 where all printed the same.
    pub different: Count,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// `running`, `any`, or a signal's name as `INT`.
    Word(String),
}

/// How many: a number, or a range with either end open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Count {
    /// Exactly so many.
    Exactly(u64),
    /// From `min` to `max`, both included.
    Range(Range),
}

/// A range of numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// Which processes of a program a signal may go to, as `child` in `server.child`.
pub const RECIPIENTS: [&str; 5] = ["parent", "child", "children", "zombies", "group"];

/// The program in `server.child`, or in `a`.
pub fn name_of(to: &str) -> &str {
    to.split('.').next().unwrap_or(to)
}

impl Exercise {
    /// The programs that some check judges, in the order of `programs`.
    pub fn judged(&self) -> impl Iterator<Item = &str> {
        let is_judged = |name: &&String| self.checks.iter().any(|c| c.about.as_ref() == Some(name));
        self.programs.keys().filter(is_judged).map(String::as_str)
    }
}

impl Facts {
    /// Whether they say nothing, so that they hold whatever happens.
    pub fn is_empty(&self) -> bool {
        let Self { listens, sockets, processes, conversations, program, signaled, outputs, cpu, descriptors } =
            self;
        listens.is_none()
            && sockets.is_empty()
            && processes.is_empty()
            && conversations.is_empty()
            && program.is_empty()
            && signaled.is_empty()
            && outputs.is_empty()
            && cpu.is_empty()
            && descriptors.is_empty()
    }
}

impl Count {
    /// At least one.
    pub const SOME: Self = Self::Range(Range { min: Some(1), max: None });

    /// Whether `n` is so many.
    pub fn admits(self, n: u64) -> bool {
        match self {
            Self::Exactly(wanted) => n == wanted,
            Self::Range(Range { min, max }) => min.is_none_or(|m| n >= m) && max.is_none_or(|m| n <= m),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(n) => write!(f, "{n}"),
            Self::Range(Range { min: Some(a), max: Some(b) }) => write!(f, "{a} to {b}"),
            Self::Range(Range { min: Some(a), max: None }) => write!(f, "at least {a}"),
            Self::Range(Range { min: None, max: Some(b) }) => write!(f, "at most {b}"),
            Self::Range(Range { min: None, max: None }) => f.write_str("any number"),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

fn one_or_many<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

fn one() -> usize {
    1
}

fn five_seconds() -> u64 {
    5000
}

/// Variables of an exercise's texts, as `{port}`.
pub type Variables = BTreeMap<String, String>;
