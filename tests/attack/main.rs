//! Attacks by a program of a host, or by a submission, on the lab, on the machine and on marks: each on
//! every ground that this machine offers, in a lab of its own, against nothing but what the test made.

mod ground;
mod walls;

use ground::Ground;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    for ground in Ground::each() {
        let mut add = |name: &str, attack: fn(&Ground)| trials.push(ground.trial(name, attack));
        add("an_honest_lab_works", an_honest_lab_works);
        add("nothing_of_netlab_is_born_on_a_host", walls::nothing_of_netlab_is_born_on_a_host);
        add(
            "a_killed_keeper_leaves_no_way_to_netlabs_files",
            walls::a_killed_keeper_leaves_no_way_to_netlabs_files,
        );
        add("a_host_that_stops_newborns_delays_no_other", walls::a_host_that_stops_newborns_delays_no_other);
        add("roots_calls_to_the_machine_are_refused", walls::roots_calls_to_the_machine_are_refused);
        add("the_machines_folders_are_not_a_hosts", walls::the_machines_folders_are_not_a_hosts);
        add("a_judged_program_has_no_privilege", walls::a_judged_program_has_no_privilege);
        add("no_setuid_program_is_left_in_a_workspace", walls::no_setuid_program_is_left_in_a_workspace);
        add(
            "roots_rights_are_few_where_strangers_are_graded",
            walls::roots_rights_are_few_where_strangers_are_graded,
        );
        add("files_in_a_workspace_belong_to_its_owner", walls::files_in_a_workspace_belong_to_its_owner);
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What is refused below is refused on a ground where the honest thing works.
fn an_honest_lab_works(ground: &Ground) {
    let lab = ground.up();
    let echoed = lab.sh("client1", "echo hello | tcpecho server 8007");
    assert!(echoed.stdout.contains("hello"), "{echoed:?}");
}
