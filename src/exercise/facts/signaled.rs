//! Facts about the signals that steps have sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Count;
use crate::{
    exercise::names::Names,
    yaml::{Path, Text, bind},
};

/// Signals that steps have sent to processes of a program.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signaled<T = String> {
    /// The program, by the name it was started under.
    pub of: T,
    /// Which signal, e.g. `KILL`.
    pub signal: String,
    /// How many times it was sent, counted once for each process.
    pub count: Count,
}

impl Signaled<Text> {
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        names.program(&path.key("of"), &self.of);
        names.signal(&path.key("signal"), &self.signal, &[]);
        self.count.check(names, &path.key("count"));
    }
}

bind!(Signaled { of; signal, count });
