//! Facts about the processes of a program.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Count, Ended};
use crate::{
    exercise::names::Names,
    yaml::{Path, Text, bind},
};

/// Processes of a started program.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Processes<T = String> {
    /// The program, by the name it was started under.
    pub of: T,
    /// Which of its processes; by default, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// Any of these state letters, as in `ps`, e.g. `S` or `SR`; by default, any but zombies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Zombies that ended like this: an exit code, or the name of a signal.
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
    /// Those that the parent forked or that descend from it, except orphans.
    Child,
    /// Children whose parent has died, so that PID 1 is now their parent.
    Orphan,
}

/// The state letters of processes, as `ps` shows them.
const STATES: &str = "RSDTtZXI";

impl Processes<Text> {
    pub(super) fn check(&self, names: &mut Names<'_>, path: &Path) {
        names.program(&path.key("of"), &self.of);
        if let Some(letters) = &self.state
            && (letters.is_empty() || !letters.chars().all(|c| STATES.contains(c)))
        {
            let message = format!("\"{letters}\" are no state letters: `ps` shows {STATES}");
            names.wrong(&path.key("state"), message, None);
        }
        if let Some(Ended::Word(word)) = &self.died {
            names.signal(&path.key("died"), word, &["any"]);
        }
        for (key, signals) in [("catch", &self.catch), ("ignore", &self.ignore)] {
            for (n, name) in signals.iter().enumerate() {
                names.signal(&path.key(key).index(n), name, &[]);
            }
        }
        self.count.check(names, &path.key("count"));
    }
}

bind!(Processes { of; who, state, died, catch, ignore, count });
