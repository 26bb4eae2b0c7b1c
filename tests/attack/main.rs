//! Attacks by a program of a host, or by a submission, on the lab, on the machine and on marks: each on
//! every ground that this machine offers, in a lab of its own, against nothing but what the test made.

mod ground;
mod wire;

use ground::Ground;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    for ground in Ground::each() {
        let mut add = |name: &str, attack: fn(&Ground)| trials.push(ground.trial(name, attack));
        add("an_honest_lab_works", an_honest_lab_works);
        add("a_host_cannot_speak_as_another", wire::a_host_cannot_speak_as_another);
        add("a_host_that_comes_back_cannot_either", wire::a_host_that_comes_back_cannot_either);
        add("a_capture_proves_who_spoke", wire::a_capture_proves_who_spoke);
        add("a_router_still_passes_on", wire::a_router_still_passes_on);
        if ground.runtime == "docker" {
            add("nothing_gains_a_privilege", wire::nothing_gains_a_privilege);
        }
        // Where the wire is among the machine's interfaces, and the test may have one of its own there.
        if ground.runtime == "docker" && ground.is_root() {
            add("the_machine_is_off_the_wire", wire::the_machine_is_off_the_wire);
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What is refused below is refused on a ground where the honest thing works.
fn an_honest_lab_works(ground: &Ground) {
    let lab = ground.up();
    let echoed = lab.sh("client1", "echo hello | tcpecho server 8007");
    assert!(echoed.stdout.contains("hello"), "{echoed:?}");
}
