//! The gaps in one side's sequence numbers so far.

use std::collections::BTreeMap;

use crate::time::Nanos;

/// Gaps before the next expected number, in 64 bits, which do not wrap around.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    next: u64,
    /// Each gap's end and the time it was skipped, by its start.
    gaps: BTreeMap<u64, (u64, Nanos)>,
}

impl Default for Gaps {
    fn default() -> Self {
        // Leaves room below for numbers older than the first known ones.
        Self { next: 1 << 32, gaps: BTreeMap::new() }
    }
}

impl Gaps {
    /// Notes that the next `len` numbers were sent.
    pub fn pass(&mut self, len: u32) {
        self.next += u64::from(len);
    }

    /// Notes that the next `len` numbers were not seen.
    pub fn skip(&mut self, len: u32, at: Nanos) {
        let from = self.next;
        self.pass(len);
        self.gaps.insert(from, (self.next, at));
    }

    /// Takes `len` numbers out of the gaps, the first of them `back` before the next number. Returns how many of them
    /// were in a gap, and since when the first of these gaps existed.
    pub fn fill(&mut self, back: u32, len: u32) -> (u32, Option<Nanos>) {
        let from = self.next.saturating_sub(back.into());
        let to = from + u64::from(len);
        let (mut filled, mut first) = (0, None::<Nanos>);
        while let Some((&start, &(end, since))) =
            self.gaps.range(..to).next_back().filter(|gap| gap.1.0 > from)
        {
            self.gaps.remove(&start);
            filled += end.min(to) - start.max(from);
            first = Some(first.map_or(since, |first| first.min(since)));
            if end > to {
                self.gaps.insert(to, (end, since));
            }
            if start < from {
                self.gaps.insert(start, (from, since));
            }
        }
        (u32::try_from(filled).unwrap_or(u32::MAX), first)
    }
}
