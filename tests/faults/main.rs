//! netlab while it is killed, starved, overloaded and badly served: nothing is left behind, nothing is lost,
//! and nothing wrong is reported.
//!
//! Every test draws its rounds from a seed, prints it, and begins with the one that `NETLAB_SEED` gives.
//! Within `cargo test` each has a few seconds; `NETLAB_SOAK`, in minutes, gives that time to all of them
//! together (`make soak`).

#[path = "../support/ground.rs"]
mod ground;

mod bystander;
mod calls;
mod census;
mod crowd;
mod disk;
mod docker;
mod engine;
mod kills;
mod proxy;
mod registers;
mod run;
mod seed;
mod shortage;
mod trace;
mod verbs;
mod whole;
mod world;

use std::time::Duration;

use ground::Ground;
use libtest_mimic::{Arguments, Failed, Trial};
use seed::{Rounds, SEED};

/// Duration of the long form, in minutes.
const SOAK: &str = "NETLAB_SOAK";

/// Number of concurrent tests, unless `--test-threads` says otherwise.
const AT_A_TIME: usize = 2;

type Test = fn(&Ground, Rounds, &str) -> Result<(), Failed>;

/// A test, its grounds, and its seconds in the short form.
const TESTS: [(&str, &[&str], u64, Test); 8] = [
    ("whoever_is_killed_nothing_is_left", EACH, 25, kills::whoever_is_killed_nothing_is_left),
    ("a_full_disk_ruins_nothing", NAMESPACES, 20, disk::a_full_disk_ruins_nothing),
    ("an_engine_that_fails_is_told", &["docker"], 30, calls::an_engine_that_fails_is_told),
    (RESTARTED, &["docker"], 30, engine::an_engine_that_is_restarted_is_survived),
    ("a_shortage_is_told", EACH, 12, shortage::a_shortage_is_told),
    ("labs_side_by_side_do_not_meet", ROOT_AND_DOCKER, 1, crowd::labs_side_by_side_do_not_meet),
    ("labs_one_after_another_leave_nothing", NAMESPACES, 1, crowd::labs_one_after_another_leave_nothing),
    ("a_keeper_does_not_grow", NAMESPACES, 1, crowd::a_keeper_does_not_grow),
];

/// Needs its own engine, and so belongs to the long form.
const RESTARTED: &str = "an_engine_that_is_restarted_is_survived";

const EACH: &[&str] = &["namespaces-root", "namespaces-user", "docker"];
const NAMESPACES: &[&str] = &["namespaces-root", "namespaces-user"];
const ROOT_AND_DOCKER: &[&str] = &["namespaces-root", "docker"];

fn main() {
    // Failures are reported at the end; here one line is enough.
    std::panic::set_hook(Box::new(|what| eprintln!("{what}")));
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(AT_A_TIME));
    let soak = variable(SOAK).map(|minutes| Duration::from_secs(60 * minutes));
    let seed = variable(SEED).unwrap_or_else(|| u64::from(fastrand::u16(..)));
    eprintln!("{SEED}={seed}");

    let grounds = Ground::each();
    let mut pairs = Vec::new();
    for test in TESTS.iter().filter(|test| soak.is_some() || test.0 != RESTARTED) {
        pairs.extend(
            grounds.iter().filter(|ground| test.1.contains(&ground.name)).map(|ground| (test, ground)),
        );
    }
    let wanted = |name: &str| arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let all =
        pairs.iter().filter(|(test, ground)| wanted(&named(test.0, ground))).map(|(test, _)| test.2).sum();
    let untraced = trace::missing();
    let trials = pairs.into_iter().map(|(test, ground)| {
        let short = Duration::from_secs(test.2);
        let time = soak.map_or(short, |soak| share(soak, test.2, all));
        trial(test, ground, Rounds { seed, time, long: soak.is_some() }, untraced.as_deref())
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // Dropping them removes their folders.
    drop(grounds);
    conclusion.exit();
}

fn named(test: &str, ground: &Ground) -> String {
    format!("{}::{test}", ground.name)
}

/// Returns a test on a ground. If it must trace and cannot, it is ignored and its name says why.
fn trial(
    &(test, _, _, run): &(&str, &[&str], u64, Test),
    ground: &Ground,
    rounds: Rounds,
    untraced: Option<&str>,
) -> Trial {
    let name = named(test, ground);
    let run = move |ground: &Ground| run(ground, rounds, &name);
    match untraced.filter(|_| test == "a_full_disk_ruins_nothing") {
        Some(why) => ground.trial_of(&format!("{test} ({why})"), run).with_ignored_flag(true),
        None => ground.trial_of(test, run),
    }
}

/// Returns a test's share of the long form's time.
fn share(soak: Duration, seconds: u64, of: u64) -> Duration {
    soak.min(soak.mul_f64(AT_A_TIME as f64 * seconds as f64 / of.max(1) as f64))
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {value}")))
}
