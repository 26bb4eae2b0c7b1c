//! netlab while it is killed, starved, crowded, and served badly: nothing is left, nothing is lost, and nothing is said
//! wrongly.
//!
//! Every test draws its rounds from a seed, prints it, and begins with the one that `NETLAB_SEED` names. Within
//! `cargo test` each has a few seconds; `NETLAB_SOAK`, in minutes, gives all of them that time together (`make soak`).

#[path = "../attack/ground.rs"]
mod ground;

mod bystander;
mod calls;
mod census;
mod crowd;
mod disk;
mod docker;
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

/// The long form's time, in minutes.
const SOAK: &str = "NETLAB_SOAK";

type Test = fn(&Ground, Rounds, &str) -> Result<(), Failed>;

/// A test, the grounds that it is for, and its seconds of the short form.
const TESTS: [(&str, &[&str], u64, Test); 7] = [
    ("whoever_is_killed_nothing_is_left", EACH, 25, kills::whoever_is_killed_nothing_is_left),
    ("a_full_disk_ruins_nothing", NAMESPACES, 20, disk::a_full_disk_ruins_nothing),
    ("an_engine_that_fails_is_told", &["docker"], 30, calls::an_engine_that_fails_is_told),
    ("a_shortage_is_told", EACH, 12, shortage::a_shortage_is_told),
    ("labs_side_by_side_do_not_meet", ROOT_AND_DOCKER, 1, crowd::labs_side_by_side_do_not_meet),
    ("labs_one_after_another_leave_nothing", NAMESPACES, 1, crowd::labs_one_after_another_leave_nothing),
    ("a_keeper_does_not_grow", NAMESPACES, 1, crowd::a_keeper_does_not_grow),
];

const EACH: &[&str] = &["namespaces-root", "namespaces-user", "docker"];
const NAMESPACES: &[&str] = &["namespaces-root", "namespaces-user"];
const ROOT_AND_DOCKER: &[&str] = &["namespaces-root", "docker"];

fn main() {
    // What failed is told at the end; here a line will do.
    std::panic::set_hook(Box::new(|what| eprintln!("{what}")));
    let mut arguments = Arguments::from_args();
    // As many as there are processors would disturb each other.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let grounds = Ground::each();
    let pairs: Vec<_> = TESTS
        .iter()
        .flat_map(|test| {
            grounds.iter().filter(|ground| test.1.contains(&ground.name)).map(move |ground| (test, ground))
        })
        .collect();
    let wanted = |name: &str| arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let name = |test: &str, ground: &Ground| format!("{}::{test}", ground.name);
    let all: u64 =
        pairs.iter().filter(|(test, ground)| wanted(&name(test.0, ground))).map(|(test, _)| test.2).sum();
    let soak = variable(SOAK).map(|minutes| Duration::from_secs(60 * minutes));
    let seed = variable(SEED).unwrap_or_else(|| u64::from(fastrand::u16(..)));
    let untraced = trace::missing();
    let trials = pairs.into_iter().map(|(test, ground)| {
        let rounds = Rounds {
            seed,
            time: soak.map_or(Duration::from_secs(test.2), |soak| share(soak, test.2, all)),
            long: soak.is_some(),
        };
        let (run, name) = (test.3, name(test.0, ground));
        let untraced = untraced.as_ref().filter(|_| test.0 == "a_full_disk_ruins_nothing");
        let test = untraced.map_or_else(|| test.0.to_owned(), |why| format!("{} ({why})", test.0));
        let trial = ground.trial_of(&test, move |ground| run(ground, rounds, &name));
        // With its reason in its name.
        if untraced.is_some() { trial.with_ignored_flag(true) } else { trial }
    });
    let trials: Vec<Trial> = trials.collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// What a test has of the long form's time, when two of them run at a time.
fn share(soak: Duration, seconds: u64, of: u64) -> Duration {
    soak.min(soak.mul_f64(2.0 * seconds as f64 / of.max(1) as f64))
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, and not {value}")))
}
