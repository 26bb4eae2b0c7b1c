//! Facts about what a program used since a look: processor time, and descriptors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Count;
use crate::{
    exercise::names::Names,
    yaml::{Path, Text, bind},
};

/// Processor time that a program's processes used since a look.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu<T = String> {
    /// The program, by the name it was started under.
    pub of: T,
    /// Since which look.
    pub since: T,
    /// How much, in ticks of 10 ms.
    pub ticks: Count,
}

/// Descriptors that the parent process of a program holds, beyond those it held at a look.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Descriptors<T = String> {
    /// The program, by the name it was started under.
    pub of: T,
    /// Since which look.
    pub since: T,
    /// How many more there are; 0 if there are fewer.
    pub more: Count,
}

impl Cpu<Text> {
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        names.program(&path.key("of"), &self.of);
        names.earlier_look(&path.key("since"), &self.since);
        self.ticks.check(names, &path.key("ticks"));
    }
}

impl Descriptors<Text> {
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        names.program(&path.key("of"), &self.of);
        names.earlier_look(&path.key("since"), &self.since);
        self.more.check(names, &path.key("more"));
    }
}

bind!(Cpu { of, since; ticks });

bind!(Descriptors { of, since; more });
