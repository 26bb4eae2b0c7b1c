//! Judges a record: a pure function of what was done and seen, which needs no lab.

pub mod by_hand;
mod facts;
mod outcome;
pub mod program;
pub mod snapshot;
mod submitted;
mod verdict;

pub use outcome::{Artifacts, Outcome, judge};
pub use snapshot::Snapshot;
pub use verdict::{CheckResult, Moment, ProcessId, Verdict};
