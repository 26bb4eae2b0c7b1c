//! Facts about what programs printed, and how they ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Count;
use crate::{
    exercise::names::Names,
    yaml::{Path, Text, bind},
};

/// What a started program printed, or how it ended.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome<T = String> {
    /// The name it was started under.
    pub name: T,
    /// A text in a line of its standard output or standard error. `…` stands for any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prints: Option<T>,
    /// In how many lines; by default, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Count>,
    /// How many of these lines differ from each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub different: Option<Count>,
    /// How it ended: an exit code or the name of a signal; `running` if it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// What several programs printed, compared with each other.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs<T = String> {
    /// The programs, by the names they were started under.
    pub of: Vec<T>,
    /// How many different texts they printed; 1 if all printed the same.
    pub different: Count,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// `running`, `any`, or a signal's name, e.g. `INT`.
    Word(String),
}

impl Outcome<Text> {
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        names.program(&path.key("name"), &self.name);
        match &self.prints {
            Some(text) => names.command(&path.key("prints"), text),
            None if self.ended.is_none() => {
                names.wrong(path, "neither what it `prints` nor how it `ended`", None);
            }
            None => {}
        }
        for (key, count) in [("lines", self.lines), ("different", self.different)] {
            let Some(count) = count else { continue };
            count.check(names, &path.key(key));
            if self.prints.is_none() {
                names.wrong(&path.key(key), format!("`{key}` needs `prints`"), None);
            }
        }
        if let Some(Ended::Word(word)) = &self.ended {
            names.signal(&path.key("ended"), word, &["running", "any"]);
        }
    }
}

impl Outputs<Text> {
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        for (n, name) in self.of.iter().enumerate() {
            names.program(&path.key("of").index(n), name);
        }
        self.different.check(names, &path.key("different"));
    }
}

bind!(Outcome { name, prints; lines, different, ended });

bind!(Outputs { of; different });
