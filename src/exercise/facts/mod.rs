//! Facts that an exercise can ask about a lab at one moment: how a file writes them, and what can be wrong with that. A
//! step waits until they hold, and a check asks whether they did. `crate::judge::facts` answers.

mod conversations;
mod count;
mod outcome;
mod processes;
mod signaled;
mod sockets;
mod usage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use conversations::ConversationFact;
pub use count::{Count, Range};
pub use outcome::{Ended, Outcome, Outputs};
pub use processes::{Processes, Who};
pub use signaled::Signaled;
pub use sockets::{Owner, Sockets};
pub use usage::{Cpu, Descriptors};

use super::names::Names;
use crate::yaml::{Path, Text, bind};

/// Facts about a lab at one moment; all of them must hold. Each may be one or a list.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct Facts<T = String> {
    /// This program (or a child of it) listens on one of the exercise's ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listens: Option<T>,
    /// Sockets of a host.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Sockets<T>>")]
    pub sockets: Vec<Sockets<T>>,
    /// Processes of a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Processes<T>>")]
    pub processes: Vec<Processes<T>>,
    /// TCP conversations on the wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<ConversationFact<T>>")]
    pub conversations: Vec<ConversationFact<T>>,
    /// What a started program printed, or how it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Outcome<T>>")]
    pub program: Vec<Outcome<T>>,
    /// Signals that steps have sent to a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Signaled<T>>")]
    pub signaled: Vec<Signaled<T>>,
    /// What several programs printed, compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Outputs<T>>")]
    pub outputs: Vec<Outputs<T>>,
    /// Processor time that a program used.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Cpu<T>>")]
    pub cpu: Vec<Cpu<T>>,
    /// Descriptors that a program's parent process holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Descriptors<T>>")]
    pub descriptors: Vec<Descriptors<T>>,
}

/// One fact.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in Facts")]
pub enum Fact<'f, T = String> {
    Listens(&'f T),
    Sockets(&'f Sockets<T>),
    Processes(&'f Processes<T>),
    Conversations(&'f ConversationFact<T>),
    Cpu(&'f Cpu<T>),
    Descriptors(&'f Descriptors<T>),
    Program(&'f Outcome<T>),
    Signaled(&'f Signaled<T>),
    Outputs(&'f Outputs<T>),
}

impl<T> Facts<T> {
    /// Returns each fact, in the order in which they are asked.
    pub fn each(&self) -> impl Iterator<Item = Fact<'_, T>> {
        self.placed().map(|(_, _, fact)| fact)
    }

    /// Returns each fact with its key and its index among that key's facts.
    fn placed(&self) -> impl Iterator<Item = (&'static str, usize, Fact<'_, T>)> {
        let Self { listens, sockets, processes, conversations, program, signaled, outputs, cpu, descriptors } =
            self;
        all("listens", listens, Fact::Listens)
            .chain(all("sockets", sockets, Fact::Sockets))
            .chain(all("processes", processes, Fact::Processes))
            .chain(all("conversations", conversations, Fact::Conversations))
            .chain(all("cpu", cpu, Fact::Cpu))
            .chain(all("descriptors", descriptors, Fact::Descriptors))
            .chain(all("program", program, Fact::Program))
            .chain(all("signaled", signaled, Fact::Signaled))
            .chain(all("outputs", outputs, Fact::Outputs))
    }
}

impl<'f, T> Fact<'f, T> {
    /// Returns the program whose processes it is about, if it is about processes.
    pub fn process_of(&self) -> Option<&'f T> {
        match *self {
            Self::Listens(program) => Some(program),
            Self::Processes(fact) => Some(&fact.of),
            Self::Cpu(fact) => Some(&fact.of),
            Self::Descriptors(fact) => Some(&fact.of),
            Self::Sockets(_)
            | Self::Conversations(_)
            | Self::Program(_)
            | Self::Signaled(_)
            | Self::Outputs(_) => None,
        }
    }

    /// Returns every program that it names.
    pub fn programs(&self) -> Vec<&'f T> {
        match *self {
            Self::Program(fact) => vec![&fact.name],
            Self::Signaled(fact) => vec![&fact.of],
            Self::Outputs(fact) => fact.of.iter().collect(),
            _ => self.process_of().into_iter().collect(),
        }
    }
}

fn all<'f, F: 'f, T: 'f>(
    key: &'static str,
    facts: impl IntoIterator<Item = &'f F>,
    fact: fn(&'f F) -> Fact<'f, T>,
) -> impl Iterator<Item = (&'static str, usize, Fact<'f, T>)> {
    facts.into_iter().enumerate().map(move |(n, one)| (key, n, fact(one)))
}

impl Facts<Text> {
    /// Reports what is wrong with them, above all whatever would let them hold no matter what happens.
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        if self.each().next().is_none() {
            names.wrong(path, "no fact", None);
        }
        for (key, n, fact) in self.placed() {
            let path = &names.item(path, key, n);
            match fact {
                Fact::Listens(name) => names.program(path, name),
                Fact::Sockets(fact) => fact.check(names, path),
                Fact::Processes(fact) => fact.check(names, path),
                Fact::Conversations(fact) => fact.check(names, path),
                Fact::Cpu(fact) => fact.check(names, path),
                Fact::Descriptors(fact) => fact.check(names, path),
                Fact::Program(fact) => fact.check(names, path),
                Fact::Signaled(fact) => fact.check(names, path),
                Fact::Outputs(fact) => fact.check(names, path),
            }
        }
    }
}

bind!(Facts { listens, sockets, processes, conversations, program, signaled, outputs, cpu, descriptors });

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
