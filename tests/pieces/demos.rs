//! The two demos: what a process and a thread share with their creator.

use assert_cmd::Command;

/// Returns what a demo prints.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_childs_variable_is_its_own() {
    let text = printed(env!("CARGO_BIN_EXE_processes"), &[]);
    let values = |who: &str| -> Vec<u32> {
        let lines = text.lines().filter(|line| line.starts_with(who));
        lines.map(|line| line.split(['=', ',']).nth(1).unwrap().trim().parse().unwrap()).collect()
    };
    assert_eq!(values("parent"), [100, 100]);
    assert_eq!(values("child"), (100..=110).collect::<Vec<_>>());
    assert!(text.lines().last().unwrap().starts_with("parent"), "{text}");
}

/// Returns how many additions a run says it lost.
fn lost(text: &str) -> u32 {
    let line = text.lines().last().unwrap();
    line.split(", ").last().unwrap().strip_suffix(" lost").expect(line).parse().unwrap()
}

#[test]
fn a_shared_counter_loses_updates_without_a_mutex_and_none_with_one() {
    let program = env!("CARGO_BIN_EXE_threads");
    assert!(lost(&printed(program, &["--no-mutex"])) > 0);
    assert_eq!(lost(&printed(program, &["--mutex"])), 0);
    let both = printed(program, &[]);
    assert!(both.contains("without a mutex: ") && both.contains("with a mutex: "));
}

#[test]
fn both_threads_and_the_parent_take_their_turns() {
    let text = printed(env!("CARGO_BIN_EXE_threads"), &["--mutex"]);
    for who in ["thread A", "thread B", "parent"] {
        let turns: Vec<_> = text.lines().filter(|line| line.starts_with(who)).collect();
        assert_eq!(turns, [1, 2, 3].map(|turn| format!("{who}: turn {turn}")));
    }
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_threads")).arg("--muttex").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stderr, b"usage: threads [--turns | --mutex | --no-mutex]\n");
}
