//! What may be chosen about a run.

use indexmap::IndexMap;

/// What may be chosen about a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port; without it, the exercise's, or the next one that is free.
    pub port: Option<u16>,
    /// The user's own programs, by the exercise's names for them.
    pub programs: IndexMap<String, String>,
    /// The one of them that is judged: nothing is done and nothing asked that is about another one.
    pub judged: Option<String>,
    /// Whether each step waits for the Enter key.
    pub step: bool,
}
