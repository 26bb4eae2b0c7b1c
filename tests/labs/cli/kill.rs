//! `kill` and `signals`.

use std::io::Write;

use netlab::runtime::RuntimeKind;

use super::bench::{Bench, eventually};

pub fn a_signal_goes_to_whom_it_is_for(bench: &Bench) {
    bench.runs(&["exec", "--detach", "client2", "--", "tcpechod", "8201"]);
    bench.wait_for(&["logs", "client2"], "8201");
    let kill = |arguments: &[&str]| {
        bench.json(&[&["kill", "client2", "--json", "--port", "8201", "--signal"], arguments].concat())
    };
    let parent = kill(&["CHLD"]);
    assert_eq!((&parent["host"], &parent["name"]), (&"client2".into(), &"tcpechod".into()));
    assert_eq!((&parent["signal"], &parent["became"]), (&"SIGCHLD".into(), &"caught".into()));

    let mut client = bench.start(&["exec", "client1", "--", "tcpecho", "client2", "8201"]);
    client.0.stdin.as_mut().unwrap().write_all(b"served\n").unwrap();
    client.read_until("served");
    let child = kill(&["SIGTERM", "--child"]);
    assert_eq!((&child["name"], &child["became"]), (&"tcpechod".into(), &"ended".into()));
    assert_ne!(child["pid"], parent["pid"]);
    let (code, ..) = client.finish();
    assert_eq!(code, Some(0), "the server's FIN after the input's end is no failure");

    let pid = parent["pid"].to_string();
    let ended = bench.runs(&["kill", "client2", "--signal", "9", "--pid", &pid]);
    assert_eq!(ended, format!("SIGKILL → tcpechod (pid {pid}) on client2: ended by the signal\n"));
    bench.runs(&["exec", "--detach", "client2", "--", "sleep", "1001"]);
    let by_name = ["kill", "client2", "--name", "sleep"];
    eventually("sleep", || bench.run(&by_name).get_output().status.success().then_some(()));
}

pub fn a_processs_name_steers_no_terminal(bench: &Bench) {
    // A program is called as its file is.
    let name = "\x1b[31mx\u{202e}";
    let script = format!("cp /bin/sleep '/tmp/{name}' && exec '/tmp/{name}' 1003");
    bench.runs(&["exec", "--detach", "client2", "--", "sh", "-c", &script]);
    let kill = ["kill", "client2", "--name", name, "--signal", "KILL"];
    let said = eventually("the program", || {
        let output = bench.run(&kill).get_output().clone();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    });
    assert!(said.starts_with("SIGKILL → \\u{1b}[31mx\\u{202e} (pid "), "{said:?}");
}

pub fn what_became_of_the_process_is_told(bench: &Bench) {
    // Not `sleep`: another test sends signals to the newest process of that name.
    let script = "trap '' USR1; echo pid $$; exec tail -f /dev/null";
    let mut running = bench.start(&["exec", "client2", "--", "sh", "-c", script]);
    let pid = running.read_until("pid ");
    let pid = pid.trim_start_matches("pid ");
    for (signal, became) in [
        ("USR1", "ignored"),
        ("WINCH", "ignored"),
        ("STOP", "stopped"),
        ("CONT", "continued"),
        ("TERM", "ended"),
    ] {
        let told = bench.json(&["kill", "client2", "--json", "--pid", pid, "--signal", signal]);
        assert_eq!(told["became"], became, "{signal}");
    }
    assert_eq!(running.finish().0, Some(128 + 15));
}

pub fn a_wrong_target_or_signal_is_told(bench: &Bench) {
    for (arguments, error, hint) in [
        (["--pid", "1"], "process 1 of client1 is the host itself", "`netlab host client1 --stop`"),
        (["--name", "lab-init"], "process 1 of client1 is the host itself", "`netlab host client1 --stop`"),
        (["--pid", "99999"], "no process 99999 on client1", "running there: lab-init (pid 1)"),
        (["--name", "tcpechodd"], "no process named tcpechodd on client1", "running there: lab-init (pid 1)"),
        (["--port", "9"], "no process listens on client1", "--pid or --name"),
        (["--signal", "PIPPE"], "unknown signal: PIPPE", "did you mean PIPE?"),
    ] {
        let said = bench.fails(2, &[&["kill", "client1"], &arguments[..]].concat());
        assert!(said.contains(&format!("error: {error}\n")), "{said}");
        assert!(said.contains("hint: ") && said.contains(hint), "{said}");
    }
    bench.runs(&["status"]);
}

pub fn signals_are_listed() {
    let bench = Bench::new(RuntimeKind::Namespaces);
    let text = bench.runs(&["signals"]);
    assert!(text.starts_with(" 1) SIGHUP") && text.contains("13) SIGPIPE"), "{text}");
    let signals = bench.json(&["signals", "--json"]);
    assert_eq!(signals[12], serde_json::json!({"number": 13, "name": "SIGPIPE"}));
}
