//! Attacks by a host's program, or by a submission, on the lab, the machine and marks: each on every ground
//! that this machine offers, in a separate lab, and only against what the test itself created.

mod grading;
#[path = "../support/ground.rs"]
mod ground;
mod observer;
mod owned;
mod walls;
mod wire;

use ground::Ground;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    for ground in Ground::each() {
        let mut add = |name: &str, attack: fn(&Ground)| trials.push(ground.trial(name, attack));
        add("an_honest_lab_works", an_honest_lab_works);
        walls::add(&mut add);
        observer::add(&mut add, &ground);
        wire::add(&mut add, &ground);
        grading::add(&mut add);
        owned::add(&mut add, &ground);
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Verifies that the ground works for honest programs, so that the refusals below mean something.
fn an_honest_lab_works(ground: &Ground) {
    let lab = ground.up();
    // Its server may not be listening yet.
    let echoed = lab.sh("client1", "timeout 20 sh -c 'until echo hello | tcpecho server 8007; do :; done'");
    assert!(echoed.stdout.contains("hello"), "{echoed:?}");
}
