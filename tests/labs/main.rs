//! Whole labs, on each runtime that this machine offers: one conformance suite for both, the commands, the exercises,
//! students' programs judged, and classes graded.

mod check;
mod cli;
mod conformance;
mod docker;
mod exercises;
mod grade;
mod mutants;
mod power;
#[path = "../support/mod.rs"]
mod support;

use libtest_mimic::Arguments;

/// How many tests run at a time: they wait more than they work.
const AT_A_TIME: usize = 4;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    let trials = [
        check::trials(),
        cli::trials(),
        conformance::trials(),
        docker::trials(),
        exercises::trials(),
        grade::trials(),
        mutants::trials(),
        power::trials(),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    cli::clean();
    mutants::clean();
    support::take_down_shared();
    conclusion.exit();
}
