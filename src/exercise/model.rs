//! What an exercise says. `exercises/README.md` teaches how to write one.
//!
//! An exercise has three forms, of one shape: as written, with [`Text`]s that have placeholders and [`Step`]s that may be
//! wrong; as a template, whose steps are [`Part`]s that can be done; and bound to a lab, with nothing left to fill in and
//! its [`Action`]s in one row.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::{
    facts::Facts,
    steps::{Action, Part, Recipient, Step, Switch, Which},
};
use crate::yaml::{Text, bind};

/// One section of an assignment: what is done, and what it must show.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(bound = "T: JsonSchema + Serialize + Default, S: JsonSchema")]
pub struct Exercise<T = String, S = Action<T>> {
    /// The name by which it is run, as `2` in `netlab exercise 2`.
    pub id: String,
    /// What it is about, in a few words.
    pub title: T,
    /// What the assignment asks.
    pub asks: T,
    /// The answer, given with `--explain`.
    #[serde(default)]
    pub explain: T,
    /// How many client hosts the lab must have at least.
    #[serde(default = "one")]
    #[schemars(range(max = 1000))]
    pub clients: usize,
    /// The ports that servers are to use, by name: `{port}` is the first one a reader meets. If
    /// anything of the server host uses one, the next free one takes its place.
    pub ports: IndexMap<String, u16>,
    /// Programs under examination, by name; a student's own take their place.
    #[serde(default)]
    pub programs: IndexMap<String, T>,
    /// What is done, in this order.
    pub steps: Vec<S>,
    /// What must have shown.
    pub checks: Vec<Check<T>>,
}

/// What must have shown.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct Check<T = String> {
    /// A stable name; graders depend on it.
    pub id: String,
    /// Which of the exercise's `programs` this judges. Without it, it is about the lab's own
    /// variants, and says nothing of a student's program.
    #[serde(default)]
    pub about: Option<String>,
    /// What is expected, in words.
    pub expect: T,
    /// Hints in stages, for a check that failed.
    #[serde(default)]
    pub hints: Vec<T>,
    /// At which `look`; at the end if unset.
    #[serde(default)]
    pub at: Option<T>,
    /// What must hold then.
    pub show: Facts<T>,
}

/// An exercise as its file has it.
pub type Written = Exercise<Text, Step>;

impl<T, S> Exercise<T, S> {
    /// The programs that some check judges, in the order of `programs`.
    pub fn judged(&self) -> impl Iterator<Item = &str> {
        let is_judged = |name: &&String| self.checks.iter().any(|c| c.about.as_ref() == Some(name));
        self.programs.keys().filter(is_judged).map(String::as_str)
    }

    /// The same with other steps.
    pub fn with_steps<R>(self, steps: Vec<R>) -> Exercise<T, R> {
        let Self { id, title, asks, explain, clients, ports, programs, steps: _, checks } = self;
        Exercise { id, title, asks, explain, clients, ports, programs, steps, checks }
    }
}

bind!(Check { expect, hints, at, show; id, about });

fn one() -> usize {
    1
}
