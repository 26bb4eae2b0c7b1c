//! `netlab doctor` on machines that can run labs, and on one that cannot.

use assert_cmd::Command;
use serde_json::Value;

fn doctor() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
    command.arg("doctor");
    command
}

/// With no engine, and no folder where a lab on namespaces could keep its state.
fn nowhere_to_run() -> Command {
    let mut command = doctor();
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock").env("NETLAB_STATE", "/dev/null/netlab");
    command
}

#[test]
fn what_it_says_and_how_it_ends_agree() {
    let state = tempfile::tempdir().unwrap();
    let output = doctor().arg("--json").env("NETLAB_STATE", state.path()).output().unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for finding in &findings {
        assert_eq!(finding.as_object().unwrap().len(), 4, "{finding}");
        let bad = match finding["state"].as_str().unwrap() {
            "ok" => false,
            "warn" | "missing" => true,
            other => panic!("no state is called {other}"),
        };
        assert!(!bad || finding["fix"].is_string(), "it says what is wrong but not what to do: {finding}");
    }
    let runs = |name: &str| findings.iter().any(|f| f["check"] == name && f["state"] == "ok");
    let expected = if runs("docker") || runs("namespaces") { 0 } else { 3 };
    assert_eq!(output.status.code(), Some(expected), "{findings:?}");
    assert_eq!(state.path().read_dir().unwrap().count(), 0, "the lab that was tried is gone");
    for runtime in ["docker", "namespaces"] {
        let built = |check: &&str| runs(check) && (*check != "docker" || runs("image"));
        let wires = findings.iter().filter(|f| f["check"] == "wire");
        let tried = wires.filter(|f| f["detail"].as_str().unwrap().ends_with(&format!("on {runtime}")));
        assert_eq!(tried.count(), usize::from(built(&runtime)), "{findings:?}");
    }
}

#[test]
fn where_no_lab_can_run_it_ends_with_3() {
    let output = nowhere_to_run().output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("✗ missing  namespaces"), "{said}");
    assert!(said.contains("/dev/null/netlab"), "it names the folder: {said}");
    assert!(said.ends_with("no lab can run here yet: fix docker or namespaces\n"), "{said}");
}

#[test]
fn the_programs_of_hosts_are_looked_for_beside_netlab() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("netlab");
    std::fs::copy(env!("CARGO_BIN_EXE_netlab"), &alone).unwrap();
    let output =
        Command::new(alone).args(["doctor", "--json"]).env("NETLAB_STATE", folder.path()).output().unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let programs = findings.iter().find(|f| f["check"] == "programs").unwrap();
    assert_eq!(programs["state"], "missing");
    assert!(
        programs["detail"]
            .as_str()
            .unwrap()
            .starts_with("no lab-init, processes, tcpecho, tcpechod, threads in "),
        "{programs}"
    );
}

#[test]
fn a_parent_that_ignores_its_children_does_not_matter() {
    let ignoring = ["--ignore-signal=CHLD", env!("CARGO_BIN_EXE_netlab"), "doctor"];
    let doctor = std::process::Command::new("env").args(ignoring).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(said.contains("namespaces") && !said.contains("No child process"), "{said}");
}
