//! `exec`, `shell` and `logs`.

use std::fs::File;

use netlab::{capture::Recorder, runtime::RuntimeKind};
use nix::sys::signal::Signal;

use super::{
    bench::{Bench, text},
    exercises::Own,
};

pub fn streams_and_exit_code_pass_through(bench: &Bench) {
    let script = "read line; echo \"out $line\"; echo err >&2; exit 7";
    let command = bench.command(&["exec", "client1", "--", "sh", "-c", script]);
    let ended = assert_cmd::Command::from_std(command).write_stdin("hello\n").assert().code(7);
    let output = ended.get_output();
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("out hello\n", "err\n"));
    bench.fails(128 + 9, &["exec", "client1", "--", "sh", "-c", "kill -9 $$"]);
    let said = bench.fails(127, &["exec", "client1", "--", "no-such-program"]);
    assert!(said.contains("no-such-program: command not found"), "{said}");
    // Without a terminal, a shell reads its commands from standard input.
    let shell = assert_cmd::Command::from_std(bench.command(&["shell", "client2"]))
        .write_stdin("hostname; exit 4\n")
        .assert()
        .code(4);
    assert_eq!(text(&shell.get_output().stdout), "client2\n");
}

pub fn an_interrupt_reaches_the_program(bench: &Bench) {
    let script = "trap 'kill $!; echo caught; exit 3' INT; sleep 100 & echo ready; wait";
    let mut running = bench.start(&["exec", "client1", "--", "sh", "-c", script]);
    running.read_until("ready");
    running.signal(Signal::SIGINT);
    let (code, out, err) = running.finish();
    assert_eq!((code, text(&out).as_str()), (Some(3), "caught\n"), "{err}");
}

/// Like ^C on a terminal: it reaches not only the shell, which waits for what it runs.
pub fn an_interrupt_reaches_the_whole_group(bench: &Bench) {
    for (signal, ended) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut running =
            bench.start(&["exec", "client1", "--", "sh", "-c", "echo ready; sleep 1008; echo not yet"]);
        running.read_until("ready");
        running.signal(signal);
        let (code, out, err) = running.finish();
        assert_eq!((code, text(&out).as_str()), (Some(ended), ""), "{err}");
        let left =
            bench.runs(&["exec", "client1", "--", "sh", "-c", "ps -eo args= | grep -x 'sleep 1008'; true"]);
        assert_eq!(left, "", "after {signal}");
    }
}

/// A program meant to outlive its terminal is left running.
pub fn a_closed_terminal_reaches_the_program(bench: &Bench) {
    for (ignore, code, left) in [("", 129, ""), ("trap '' HUP; ", 129, "sleep 1007\n")] {
        let script = format!("{ignore}echo ready; sleep 1007; echo not yet");
        let mut running = bench.start(&["exec", "client2", "--", "sh", "-c", &script]);
        running.read_until("ready");
        running.signal(Signal::SIGHUP);
        let (ended, out, err) = running.finish();
        assert_eq!((ended, text(&out).as_str()), (Some(code), ""), "{err}");
        let there = "ps -eo args= | grep -x 'sleep 1007'; pkill -xf 'sleep 1007'; true";
        assert_eq!(bench.runs(&["exec", "client2", "--", "sh", "-c", there]), left);
    }
}

/// Like `timeout 20 netlab exec …`.
pub fn a_stopped_program_can_be_ended(bench: &Bench) {
    let mut running =
        bench.start(&["exec", "client2", "--", "sh", "-c", "echo ready; kill -STOP $$; echo not yet"]);
    running.read_until("ready");
    bench.wait_for(&["exec", "client2", "--", "ps", "-eo", "state=,args="], "T sh -c echo ready");
    running.signal(Signal::SIGTERM);
    let (code, out, err) = running.finish();
    assert_eq!((code, text(&out).as_str()), (Some(128 + 15), ""), "{err}");
}

/// Like `| head -1`: the program gets SIGPIPE, as on a pipe.
pub fn a_program_without_a_reader_ends(bench: &Bench) {
    let mut running = bench.start(&["exec", "client1", "--", "yes"]);
    running.read_until("y");
    drop(running.0.stdout.take());
    assert_eq!(running.0.wait().unwrap().code(), Some(128 + 13));
}

/// Like a full disk: no command may seem to have succeeded.
pub fn output_that_cannot_be_written_is_an_error(bench: &Bench) {
    let file = tempfile::Builder::new().suffix(".pcapng").tempfile().unwrap();
    Recorder::to_stream(file.reopen().unwrap(), &[], []).unwrap();
    let capture = file.path().to_str().unwrap();
    let commands: [&[&str]; 10] = [
        &["--help"],
        &["capture", "start", "--help"],
        &["--version"],
        &["exec", "client1", "--", "echo", "lost"],
        &["logs", "server"],
        &["status"],
        &["status", "--json"],
        &["signals"],
        &["capture", "show", capture],
        &["completions", "bash"],
    ];
    for command in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = bench.command(command).stdout(full).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command:?}: {said}");
        assert!(
            said.contains("cannot write the output") && said.contains("No space left"),
            "{command:?}: {said}"
        );
    }
}

pub fn a_terminal_can_be_typed_into_from_a_pipe(bench: &Bench) {
    let command = bench.command(&["exec", "--tty", "client1", "--", "cat"]);
    let ended = assert_cmd::Command::from_std(command).write_stdin("typed\n").assert().success();
    let shown = text(&ended.get_output().stdout);
    // Once by the terminal, which echoes, and once by the program.
    assert_eq!(shown.matches("typed").count(), 2, "{shown}");
}

pub fn a_detached_program_prints_to_the_log(bench: &Bench) {
    bench.runs(&["exec", "--detach", "client1", "--", "echo", "by itself"]);
    bench.wait_for(&["logs", "client1"], "by itself\n");
    let mut follow = bench.start(&["logs", "--follow", "client1"]);
    follow.read_until("by itself");
    bench.runs(&["exec", "--detach", "client1", "--", "echo", "and", "later"]);
    follow.read_until("and later");
    follow.signal(Signal::SIGINT);
    assert_eq!(follow.finish().0, Some(130));
}

/// As with `| head -1`.
pub fn a_reader_that_has_enough_is_no_failure(bench: &Bench) {
    for arguments in
        [&["signals"][..], &["status"], &["exercise"], &["completions", "bash"], &["capture", "list"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = bench.command(arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// Run by root only; an ordinary user may have no control groups.
pub fn a_fork_bomb_stays_on_its_host(bench: Bench) {
    let Own(bench) = &Own(bench);
    let up = bench.command(&["up"]).output().unwrap();
    let bounded = !String::from_utf8_lossy(&up.stderr).contains("without a limit on");
    let bomb =
        "i=0; while [ $i -lt 600 ]; do sleep 1004 >/dev/null 2>&1 </dev/null & i=$((i+1)); done; echo all";
    let output = bench.command(&["exec", "client1", "--", "sh", "-c", bomb]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout.contains("all"), !bounded, "{stderr}");
    bench.runs(&["exec", "client2", "--", "true"]);
    if bounded && bench.kind == RuntimeKind::Namespaces {
        let told = "client1 has reached its 500 processes\n";
        assert!(stderr.ends_with(&format!("netlab: {told}")), "{stderr}");
        assert!(bench.runs(&["status"]).ends_with(told));
        bench.runs(&["host", "client1", "--reboot"]);
    }
    let full = bench.fails(1, &["exec", "client2", "--", "fallocate", "-l", "700M", "/tmp/file"]);
    assert!(full.contains("No space left"), "{full}");
    bench.runs(&["exec", "client2", "--", "touch", "/root/mine", "/var/mine"]);
}
