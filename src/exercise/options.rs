//! What may be chosen about a run.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What may be chosen about a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port; without it, the exercise's, or the next one that is free.
    pub port: Option<u16>,
    /// The user's own programs, by the exercise's names for them.
    pub programs: IndexMap<String, String>,
    /// The one of them that is judged: nothing is done and nothing asked that is about another one.
    pub judged: Option<String>,
    /// Whose run it is.
    pub origin: Origin,
}

/// Whose run it is and what made it, as far as that is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// A user of the machine, or a submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The command line that was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}
