//! Rounds of a test, drawn from a seed: as many as fit in the time, each reproducible with its own seed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use libtest_mimic::Failed;

/// The variable with the seed of the first round.
pub const SEED: &str = "NETLAB_SEED";

/// A test gives up after this many failed rounds.
const ENOUGH: usize = 5;

/// How long a test may begin rounds, and from which seed.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub seed: u64,
    pub time: Duration,
    /// Whether this is the long form.
    pub long: bool,
}

impl Rounds {
    /// Runs rounds until the time is over, at least one. Neighbouring seeds follow each other, so that what a
    /// round takes from the seed's digits is evenly distributed; see `Dice::nth`.
    pub fn each(&self, name: &str, mut round: impl FnMut(&mut Dice)) -> Result<(), Failed> {
        let until = Instant::now() + self.time;
        let mut failures = Vec::new();
        let mut seed = self.seed;
        loop {
            let mut dice = Dice::new(seed);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| round(&mut dice))) {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
                failures.push(format!("{words}\nagain: {SEED}={seed} cargo test --test faults -- {name}\n"));
            }
            seed = seed.wrapping_add(1);
            if Instant::now() >= until || failures.len() == ENOUGH {
                break;
            }
        }
        let rounds = seed.wrapping_sub(self.seed);
        eprintln!("{name}: {rounds} rounds from {SEED}={}, {} failed", self.seed, failures.len());
        if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
    }
}

/// What a round draws its choices from.
pub struct Dice {
    seed: u64,
    random: fastrand::Rng,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self { seed, random: fastrand::Rng::with_seed(seed) }
    }

    /// Picks one of them; successive rounds take each in turn, in an order that looks random.
    pub fn turn<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        let turn = usize::try_from(self.seed % all.len() as u64).unwrap_or(0);
        self.seed /= all.len() as u64;
        &all[turn]
    }

    /// Picks a number from 1 to at least `most`: that many rounds pick each of them once. The range is a
    /// round number, so that a count that varies slightly mostly gives the same number.
    pub fn nth(&mut self, most: usize) -> usize {
        let range = most.next_multiple_of(16) as u64;
        // A prime greater than any range yields each number once.
        let nth = self.seed % range * 2_147_483_647 % range;
        usize::try_from(nth).unwrap_or(0) + 1
    }

    /// Picks any of them.
    pub fn any<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.random.usize(..all.len())]
    }

    /// Picks a moment within that time.
    pub fn moment(&mut self, within: Duration) -> Duration {
        within.mul_f64(self.random.f64())
    }

    pub fn coin(&mut self) -> bool {
        self.random.bool()
    }
}
