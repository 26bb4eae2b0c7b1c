//! Counts: how many there are of something.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{exercise::names::Names, yaml::Path};

/// How many: a number, or a range with either end open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Count {
    /// Exactly this number.
    Exactly(u64),
    /// From `min` to `max`, inclusive.
    Range(Range),
}

/// A range of numbers, inclusive at both ends.
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

impl Count {
    /// At least one.
    pub const SOME: Self = Self::Range(Range { min: Some(1), max: None });

    /// Whether `n` is one of these numbers.
    pub fn admits(self, n: u64) -> bool {
        match self {
            Self::Exactly(wanted) => n == wanted,
            Self::Range(Range { min, max }) => min.is_none_or(|m| n >= m) && max.is_none_or(|m| n <= m),
        }
    }

    /// Reports a count that admits every number, because it tests nothing.
    pub(super) fn check(self, names: &mut Names<'_>, path: &Path) {
        if let Self::Range(Range { min: None | Some(0), max: None }) = self {
            names.wrong(path, "any number would do", None);
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
