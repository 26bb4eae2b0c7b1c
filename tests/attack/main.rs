//! Attacks by a program of a host, or by a submission, on the lab, on the machine and on marks: each on
//! every ground that this machine offers, in a lab of its own, against nothing but what the test made.

mod ground;
mod owned;

use ground::Ground;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    for ground in Ground::each() {
        let mut add = |name: &str, attack: fn(&Ground)| trials.push(ground.trial(name, attack));
        add("an_honest_lab_works", an_honest_lab_works);
        if ground.runtime == "namespaces" {
            add(
                "a_state_folder_of_somebody_else_is_refused_by_every_command",
                owned::a_state_folder_of_somebody_else_is_refused_by_every_command,
            );
            add(
                "a_state_folder_that_others_may_write_to_is_refused_by_every_command",
                owned::a_state_folder_that_others_may_write_to_is_refused_by_every_command,
            );
            add(
                "a_labs_folder_of_somebody_else_is_refused_by_every_command",
                owned::a_labs_folder_of_somebody_else_is_refused_by_every_command,
            );
            add("a_link_to_a_labs_folder_is_refused", owned::a_link_to_a_labs_folder_is_refused);
            add("a_record_of_groups_ends_nothing_but_labs", owned::a_record_of_groups_ends_nothing_but_labs);
            add(
                "a_keeper_of_somebody_else_is_not_spoken_to",
                owned::a_keeper_of_somebody_else_is_not_spoken_to,
            );
            add(
                "a_lock_that_leads_elsewhere_is_not_followed",
                owned::a_lock_that_leads_elsewhere_is_not_followed,
            );
            add("the_limit_of_memory_counts_swap", owned::the_limit_of_memory_counts_swap);
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
