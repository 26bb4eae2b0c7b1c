//! When things happened: what is known of the order of cause and effect where times alone do not tell it.

use crate::time::Nanos;

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Moment {
    pub at: Nanos,
    pub rank: Rank,
}

/// Where something stands among what has the same time. A cause that was seen late has the time of its first known
/// effect, and an effect that was seen late has the time of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Rank {
    /// The exercise begins a step.
    Step,
    /// A process begins that causes what has this time.
    Birth,
    /// A socket is as it must be for what has this time.
    Before,
    /// What has this time: a segment passes, a program prints, a line is typed.
    Event,
    /// What a segment makes of a socket.
    After,
    /// What was seen then for the first time.
    Seen,
    /// What the exercise made of it.
    Verdict,
}

impl Moment {
    /// Something with a time of its own.
    pub fn event(at: Nanos) -> Self {
        Self { at, rank: Rank::Event }
    }

    /// Something that a table showed then.
    pub fn seen(at: Nanos) -> Self {
        Self { at, rank: Rank::Seen }
    }
}

/// What came before something happened before it, whenever it was seen: brings moments into the order of their list.
pub(super) fn ascending<T>(list: &mut [(Moment, T)]) {
    for i in (1..list.len()).rev() {
        list[i - 1].0 = list[i - 1].0.min(list[i].0);
    }
}
