//! Attacks by a program of a host, or by a submission, on the lab, on the machine and on marks: each on
//! every ground that this machine offers, in a lab of its own, against nothing but what the test made.

mod grading;
mod ground;

use ground::Ground;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    for ground in Ground::each() {
        let mut add = |name: &str, attack: fn(&Ground)| trials.push(ground.trial(name, attack));
        add("an_honest_lab_works", an_honest_lab_works);
        add("a_borrowed_program_gets_no_marks", grading::a_borrowed_program_gets_no_marks);
        add("a_course_may_only_note_what_is_borrowed", grading::a_course_may_only_note_what_is_borrowed);
        add(
            "what_a_process_from_before_serves_counts_for_nothing",
            grading::what_a_process_from_before_serves_counts_for_nothing,
        );
        add(
            "who_takes_all_there_is_is_done_in_time_and_told_why",
            grading::who_takes_all_there_is_is_done_in_time_and_told_why,
        );
        add("time_that_runs_out_is_not_given_again", grading::time_that_runs_out_is_not_given_again);
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What is refused below is refused on a ground where the honest thing works.
fn an_honest_lab_works(ground: &Ground) {
    let lab = ground.up();
    let echoed = lab.sh("client1", "echo hello | tcpecho server 8007");
    assert!(echoed.stdout.contains("hello"), "{echoed:?}");
}
