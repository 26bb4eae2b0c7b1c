//! The order of events: what cause and effect imply where times alone do not decide.

use crate::time::Nanos;

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Moment {
    pub at: Nanos,
    pub rank: Rank,
}

/// The order of things with the same time. A cause that was seen late gets the time of its first known effect, and an
/// effect that was seen late gets the time of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Rank {
    /// The exercise begins a step.
    Step,
    /// A process begins that causes the event at this time.
    Birth,
    /// A socket reaches the state that the event at this time requires.
    Before,
    /// The event itself: a packet passes, a program prints, a line is typed.
    Event,
    /// What a TCP segment changes in a socket.
    After,
    /// What was first seen then.
    Seen,
    /// The exercise's verdict on it.
    Verdict,
}

impl Moment {
    /// An event, at its own time.
    pub fn event(at: Nanos) -> Self {
        Self { at, rank: Rank::Event }
    }

    /// Something that a table showed at that time.
    pub fn seen(at: Nanos) -> Self {
        Self { at, rank: Rank::Seen }
    }
}

/// Lowers moments until they ascend: what comes first in the list happened first, however late it was seen.
pub(super) fn ascending<T>(list: &mut [(Moment, T)]) {
    for i in (1..list.len()).rev() {
        list[i - 1].0 = list[i - 1].0.min(list[i].0);
    }
}
