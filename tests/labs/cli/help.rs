//! Commands that need no lab: help, completions, wrong files.

use std::io::Write;

use netlab::runtime::RuntimeKind;

use super::bench::{Bench, Running};

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // The next line of a description is indented further.
    let listed = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = listed.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(Into::into).collect()
}

pub fn help_is_as_it_was() {
    let bench = Bench::new(RuntimeKind::Namespaces);
    let mut left = vec![Vec::new()];
    while let Some(command) = left.pop() {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let mut help = bench.command(&words);
        // Help shows the values of variables.
        std::env::vars().filter(|(name, _)| name.starts_with("NETLAB_")).for_each(|(name, _)| {
            help.env_remove(name);
        });
        let output = help.env_remove("NETLAB_LAB").env_remove("NETLAB_RUNTIME").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        insta::assert_snapshot!([&["netlab".to_owned()], &command[..]].concat().join("-"), text);
        for inner in commands(&text) {
            left.push([&command[..], &[inner]].concat());
        }
    }
}

pub fn completions_are_scripts() {
    let bench = Bench::new(RuntimeKind::Namespaces);
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.runs(&["completions", shell]);
        assert!(script.contains("exercise") && script.contains("capture"), "{shell}");
        let mut check = std::process::Command::new(shell);
        check.arg("-n").stdin(std::process::Stdio::piped());
        // Only an installed shell can check its script.
        if let Ok(child) = check.spawn() {
            let mut running = Running(child);
            running.0.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            assert!(running.0.wait().unwrap().success(), "{shell}");
        }
    }
    let said = bench.fails(2, &["completions", "bahs"]);
    assert!(said.contains("bash"), "{said}");
}

pub fn a_wrong_file_is_shown_with_its_mistakes() {
    let bench = Bench::new(RuntimeKind::Namespaces);
    let folder = tempfile::tempdir().unwrap();
    let (lab, exercise) = (folder.path().join("lab.yaml"), folder.path().join("mine.yaml"));
    std::fs::write(&lab, "hosts:\n  server: {rol: server}\n").unwrap();
    let text = std::fs::read_to_string("exercises/5.yaml").unwrap();
    std::fs::write(&exercise, text.replacen("signal: STOP", "signal: STPO", 1)).unwrap();
    let (lab, exercise) = (lab.to_str().unwrap(), exercise.to_str().unwrap());
    let said = bench.fails(2, &["validate", lab, exercise, "exercises/5.yaml"]);
    assert!(said.contains("lab.yaml:2:12") && said.contains("did you mean `role`?"), "{said}");
    assert!(said.contains("mine.yaml:") && said.contains("did you mean `STOP`?"), "{said}");
    let said = bench.fails(2, &["up", "--topology", lab]);
    assert!(said.contains("lab.yaml:2:12"), "{said}");
    let rows = bench.run(&["validate", "--json", exercise, "exercises/5.yaml"]).code(2);
    let rows: serde_json::Value = serde_json::from_slice(&rows.get_output().stdout).unwrap();
    assert_eq!((&rows[0]["valid"], &rows[1]["valid"]), (&false.into(), &true.into()));
    let path = rows[0]["problems"][0]["path"].as_str().unwrap();
    assert!(path.starts_with("steps[") && path.ends_with("].signal"), "{path}");
    assert_eq!(rows[1]["checks"][0], "zombies-without-reaper");
    let schema = bench.json(&["schema", "exercise"]);
    assert_eq!(schema["title"], "Exercise");
}
