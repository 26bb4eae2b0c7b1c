//! The commands as a user types them, on every runtime that this machine offers.

mod bench;
mod captures;
mod exercises;
mod help;
mod kill;
mod labs;
mod programs;

use crate::support::trials::{On, trial};
use bench::Bench;
use libtest_mimic::Trial;
use netlab::runtime::RuntimeKind;

type Case = fn(&Bench);
type CaseAlone = fn(Bench);

/// Cases on a shared lab that they leave as it was.
const SHARED: &[(&str, Case)] = &[
    ("a_second_up_does_nothing_and_says_so", labs::a_second_up_does_nothing_and_says_so),
    ("status_has_its_shape", labs::status_has_its_shape),
    ("an_unknown_host_or_lab_gets_the_nearest_name", labs::an_unknown_host_or_lab_gets_the_nearest_name),
    ("a_port_in_use_is_told_with_its_owner", labs::a_port_in_use_is_told_with_its_owner),
    ("streams_and_exit_code_pass_through", programs::streams_and_exit_code_pass_through),
    ("an_interrupt_reaches_the_program", programs::an_interrupt_reaches_the_program),
    ("an_interrupt_reaches_the_whole_group", programs::an_interrupt_reaches_the_whole_group),
    ("a_closed_terminal_reaches_the_program", programs::a_closed_terminal_reaches_the_program),
    ("a_stopped_program_can_be_ended", programs::a_stopped_program_can_be_ended),
    ("a_program_without_a_reader_ends", programs::a_program_without_a_reader_ends),
    ("output_that_cannot_be_written_is_an_error", programs::output_that_cannot_be_written_is_an_error),
    ("a_terminal_can_be_typed_into_from_a_pipe", programs::a_terminal_can_be_typed_into_from_a_pipe),
    ("a_detached_program_prints_to_the_log", programs::a_detached_program_prints_to_the_log),
    ("a_reader_that_has_enough_is_no_failure", programs::a_reader_that_has_enough_is_no_failure),
    ("a_signal_goes_to_whom_it_is_for", kill::a_signal_goes_to_whom_it_is_for),
    ("a_processs_name_steers_no_terminal", kill::a_processs_name_steers_no_terminal),
    ("what_became_of_the_process_is_told", kill::what_became_of_the_process_is_told),
    ("a_wrong_target_or_signal_is_told", kill::a_wrong_target_or_signal_is_told),
    ("a_capture_is_started_listed_stopped_and_shown", captures::started_listed_stopped_and_shown),
    ("what_is_followed_is_read_by_the_tools_of_the_field", captures::followed_is_read_by_tools),
    ("a_killed_recorder_leaves_a_readable_file", captures::a_killed_recorder_leaves_a_readable_file),
    ("a_stop_at_once_is_no_early_end", captures::a_stop_at_once_is_no_early_end),
    ("a_full_disk_is_told", captures::a_full_disk_is_told),
    ("a_recording_that_filled_the_disk_says_so", captures::a_recording_that_filled_the_disk_says_so),
];

/// Cases on a lab of their own.
const ALONE: &[(&str, CaseAlone)] = &[
    ("an_answer_comes_with_its_evidence", exercises::an_answer_comes_with_its_evidence),
    ("an_interrupted_exercise_ends_what_it_started", exercises::an_interrupted_one_ends_what_it_started),
    ("a_fork_bomb_stays_on_its_host", programs::a_fork_bomb_stays_on_its_host),
    ("every_packet_is_recorded_or_counted", captures::every_packet_is_recorded_or_counted),
    ("a_recording_ends_with_its_lab", captures::a_recording_ends_with_its_lab),
    ("every_host_is_looked_at", exercises::every_host_is_looked_at),
    ("a_link_is_made_bad_and_mended", exercises::a_link_is_made_bad_and_mended),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("cli::help_is_as_it_was", help::help_is_as_it_was),
        trial("cli::completions_are_scripts", help::completions_are_scripts),
        trial("cli::signals_are_listed", kill::signals_are_listed),
        trial("cli::a_wrong_file_is_shown_with_its_mistakes", help::a_wrong_file_is_shown_with_its_mistakes),
    ];
    for on in On::each("cli") {
        let kind = on.kind;
        for (name, case) in SHARED {
            trials.push(on.trial(name, move || case(Bench::shared(kind))));
        }
        for (name, case) in ALONE {
            trials.push(on.trial(name, move || case(Bench::new(kind))));
        }
        // Docker's own are in `tests/docker/`.
        if kind == RuntimeKind::Namespaces {
            trials.extend(labs::UNFINISHED.iter().map(|(name, case)| on.trial(name, case)));
        }
    }
    trials
}

/// Takes down the labs that tests share.
pub fn clean() {
    Bench::take_down_shared();
}
