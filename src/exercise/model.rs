//! The content of an exercise. `exercises/README.md` explains how to write one.
//!
//! An exercise has three forms with the same structure. As written, it has [`Text`]s with placeholders and [`Step`]s
//! that may be wrong. As a template, its steps are [`Part`]s that can be performed. Bound to a lab, it has nothing left
//! to fill in, and its steps are a flat list of [`Action`]s.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::{
    facts::Facts,
    steps::{Action, Part, Recipient, Step, Switch, Which},
};
use crate::yaml::{Text, bind};

/// One section of an assignment: what is done, and what must be observed.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(bound = "T: JsonSchema + Serialize + Default, S: JsonSchema")]
pub struct Exercise<T = String, S = Action<T>> {
    /// The name by which it is run, e.g. `2` in `netlab exercise 2`.
    pub id: String,
    /// What it is about, in a few words.
    pub title: T,
    /// What the assignment asks.
    pub asks: T,
    /// The answer, given with `--explain`.
    #[serde(default)]
    pub explain: T,
    /// Minimum number of client hosts in the lab.
    #[serde(default = "one")]
    #[schemars(range(max = 1000))]
    pub clients: usize,
    /// The ports that servers are to use, by name, e.g. `port` for `{port}`. If one is in use on the
    /// server's host, the next free one takes its place.
    pub ports: IndexMap<String, u16>,
    /// Programs under examination, by name. A student's own programs replace them.
    #[serde(default)]
    pub programs: IndexMap<String, T>,
    /// What is done, in this order.
    pub steps: Vec<S>,
    /// What must have been observed.
    pub checks: Vec<Check<T>>,
}

/// What must have been observed.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct Check<T = String> {
    /// A stable id; graders depend on it.
    pub id: String,
    /// Which of the exercise's `programs` this judges. If omitted, the check is about the lab's own
    /// variants, and says nothing about a student's program.
    #[serde(default)]
    pub about: Option<String>,
    /// What is expected, in words.
    pub expect: T,
    /// Hints in stages, shown when the check fails.
    #[serde(default)]
    pub hints: Vec<T>,
    /// The `look` that it is about; by default, the end.
    #[serde(default)]
    pub at: Option<T>,
    /// What must hold at that moment.
    pub show: Facts<T>,
}

/// An exercise as written in its file.
pub type Written = Exercise<Text, Step>;

impl<T, S> Exercise<T, S> {
    /// Returns the programs that some check judges, in the order of `programs`.
    pub fn judged(&self) -> impl Iterator<Item = &str> {
        let is_judged = |name: &&String| self.checks.iter().any(|c| c.about.as_ref() == Some(name));
        self.programs.keys().filter(is_judged).map(String::as_str)
    }

    /// Replaces the steps.
    pub fn with_steps<R>(self, steps: Vec<R>) -> Exercise<T, R> {
        let Self { id, title, asks, explain, clients, ports, programs, steps: _, checks } = self;
        Exercise { id, title, asks, explain, clients, ports, programs, steps, checks }
    }
}

bind!(Check { expect, hints, at, show; id, about });

fn one() -> usize {
    1
}
