//! What one side skipped of its sequence numbers so far.

use std::collections::BTreeMap;

use crate::time::Nanos;

/// Gaps before the next number that is expected. They are counted in 64 bits, which do not wrap around.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    next: u64,
    /// Each gap's end and when it was skipped, by its beginning.
    gaps: BTreeMap<u64, (u64, Nanos)>,
}

impl Default for Gaps {
    fn default() -> Self {
        // Numbers that are older than the first ones known have room before it.
        Self { next: 1 << 32, gaps: BTreeMap::new() }
    }
}

impl Gaps {
    /// The next `len` numbers were sent.
    pub fn pass(&mut self, len: u32) {
        self.next += u64::from(len);
    }

    /// The next `len` numbers were not seen.
    pub fn skip(&mut self, len: u32, at: Nanos) {
        let from = self.next;
        self.pass(len);
        self.gaps.insert(from, (self.next, at));
    }

    /// Takes `len` numbers out of the gaps, the first of them `back` before the next. Gives how many of them were
    /// in one, and since when the first of those gaps was there.
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
