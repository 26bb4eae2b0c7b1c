//! `netlab report`, on the folder of a run that is kept beside this file.

use std::{fs, path::Path};

use assert_cmd::{Command, cargo::cargo_bin_cmd};

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
