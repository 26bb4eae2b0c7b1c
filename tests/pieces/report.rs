//! `netlab report`, on the stored folder of a run.

use std::{fs, path::Path};

use assert_cmd::{Command, cargo::cargo_bin_cmd};
use clap::ValueEnum;
use netlab::report::Format;
use serde_json::Value;

const RUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run");

fn report(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("netlab");
    command.current_dir(folder).arg("report").args(arguments);
    command
}

#[test]
fn the_newest_run_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("captures/exercise-2");
    fs::create_dir_all(&run).unwrap();
    fs::create_dir(folder.path().join("captures/no-run")).unwrap();
    fs::copy(format!("{RUN}/evidence.json"), run.join("evidence.json")).unwrap();
    report(folder.path(), &[]).assert().success().stdout("captures/exercise-2/report.html\n");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("<h1>Two clients on two machines, watched with tcpdump</h1>"));
}

#[test]
fn other_forms_go_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let form = |form: &str| {
        let output =
            report(folder.path(), &[RUN, "--format", form]).assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    };
    let json: serde_json::Value = serde_json::from_str(&form("json")).unwrap();
    assert_eq!((&json["verdict"], &json["checks"][0]["id"]), (&"pass".into(), &"server-listens".into()));
    assert!(form("markdown").starts_with("# 2: Two clients"));
    let junit = form("junit");
    assert!(
        junit.starts_with("<?xml") && junit.contains("tests=\"10\" failures=\"0\" errors=\"0\""),
        "{junit}"
    );
    assert_eq!(junit.matches("<testcase ").count(), 10);
}

#[test]
fn what_is_no_run_is_a_wrong_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("evidence.json"), "{\"exercise\": 2").unwrap();
    for (arguments, said) in [
        (&[][..], "no run under captures"),
        (&["."][..], "./evidence.json is not a run's evidence"),
        (&["nowhere"][..], "cannot read nowhere"),
    ] {
        let failed = report(folder.path(), arguments).assert().code(2);
        let stderr = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(stderr.contains(said) && stderr.contains("hint"), "{stderr}");
    }
}

/// Reverses the direction of writing, sets the terminal's title, and starts a new line.
const HOSTILE: &str = "\u{202e}\x1b]0;mine\x07\u{9b}31m";

/// Appends this to every string under the key; returns whether there was one.
fn spoil(value: &mut Value, key: &str, within: bool) -> bool {
    match value {
        Value::String(text) if within => {
            text.push_str(HOSTILE);
            true
        }
        Value::Array(all) => all.iter_mut().fold(false, |any, value| spoil(value, key, within) | any),
        Value::Object(all) => {
            all.iter_mut().fold(false, |any, (name, value)| spoil(value, key, within || name == key) | any)
        }
        _ => false,
    }
}

fn keys(value: &Value, into: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|value| keys(value, into)),
        Value::Object(all) => all.iter().for_each(|(name, value)| {
            into.insert(name.clone());
            keys(value, into);
        }),
        _ => {}
    }
}

#[test]
fn times_may_be_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut evidence: Value =
        serde_json::from_slice(&fs::read(format!("{RUN}/evidence.json")).unwrap()).unwrap();
    let events = evidence["timeline"].as_array_mut().unwrap();
    events.reverse();
    events[1]["at"] = 0.into();
    fs::write(folder.path().join("evidence.json"), evidence.to_string()).unwrap();
    let evidence = netlab::report::read(folder.path()).unwrap();
    for format in Format::value_variants() {
        let text = format.render(&evidence).unwrap();
        // A difference below zero.
        assert!(!text.contains("1844674"), "{format:?}");
    }
}

#[test]
fn no_text_of_a_run_steers_a_terminal_or_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let evidence: Value = serde_json::from_slice(&fs::read(format!("{RUN}/evidence.json")).unwrap()).unwrap();
    let mut all = std::collections::BTreeSet::default();
    keys(&evidence, &mut all);
    let mut read = 0;
    for key in &all {
        let mut spoiled = evidence.clone();
        if !spoil(&mut spoiled, key, false) {
            continue;
        }
        fs::write(folder.path().join("evidence.json"), spoiled.to_string()).unwrap();
        // Not every string may be anything.
        let Ok(evidence) = netlab::report::read(folder.path()) else { continue };
        read += 1;
        for format in Format::value_variants() {
            let text = format.render(&evidence).unwrap();
            let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            // JSON is read by programs.
            if *format != Format::Json {
                let at = text.find(steers);
                assert_eq!(
                    at.map(|at| text[at.saturating_sub(80)..].chars().take(100).collect::<String>()),
                    None,
                    "{key} as {format:?}"
                );
            }
        }
    }
    assert!(read > 15, "{read} of {} keys", all.len());
}

#[test]
fn it_goes_where_it_is_to() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("old"), "old").unwrap();
    std::os::unix::fs::symlink("old", at("link")).unwrap();
    report(folder.path(), &[RUN, "-o", "link"]).assert().success();
    assert!(at("link").is_symlink(), "as whoever made it wants it");
    assert!(fs::read_to_string(at("old")).unwrap().starts_with("<!DOCTYPE"));
    report(folder.path(), &[RUN, "-o", "/dev/null"]).assert().success();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    report(folder.path(), &[RUN, "-o", "/dev/full"]).assert().code(3);
}
