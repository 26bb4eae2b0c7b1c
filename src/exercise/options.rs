//! The options of a run.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The options of a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port. By default the exercise's, or the next free one.
    pub port: Option<u16>,
    /// The user's programs, by the exercise's names for them.
    pub programs: IndexMap<String, String>,
    /// The one of them that is judged. Steps and checks about another program are left out.
    pub judged: Option<String>,
    /// Whose run it is.
    pub origin: Origin,
}

/// Whose run it is and what started it, as far as is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// A user of the machine, or a submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The command line that was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}
