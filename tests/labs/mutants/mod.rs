//! Judges the judge, with correct servers and with servers that are each wrong in one way. Each is caught by exactly
//! the checks in `tests/labs/mutants/matrix.yaml`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Duration,
};

use crate::support::{Lab, block_on, trials::On};
use indexmap::IndexMap;
use libtest_mimic::Trial;
use netlab::{
    check::{self, Report, Request},
    exercise::{self, Origin},
    judge::{self, CheckResult, Verdict},
    record::Record,
    runtime::RuntimeKind,
};
use serde::Deserialize;
use tempfile::TempDir;

/// One server of the matrix.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    #[serde(default)]
    c: Option<String>,
    #[serde(default)]
    run: Option<String>,
    #[serde(default)]
    sections: Option<Vec<String>>,
    #[serde(default)]
    fails: BTreeSet<String>,
    #[serde(default)]
    unknown: BTreeSet<String>,
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for on in On::each("mutants") {
        let kind = on.kind;
        for (name, server) in matrix() {
            trials.push(on.trial(&name.clone(), move || judge(kind, &name, &server)));
        }
    }
    trials
}

/// Takes down the labs kept for the next server. Statics are never dropped.
pub fn clean() {
    LABS.lock().unwrap().clear();
    drop(PROGRAMS.lock().unwrap().take());
}

fn matrix() -> IndexMap<String, Server> {
    serde_yaml::from_str(include_str!("matrix.yaml")).unwrap()
}

/// Judges one server on a lab that nobody else uses meanwhile, and compares the verdict of each check.
fn judge(kind: RuntimeKind, name: &str, server: &Server) {
    let lab = take_lab(kind);
    let report = block_on(check(&lab, name, server));
    // Only a working lab is used again.
    LABS.lock().unwrap().push(lab);
    compare(server, &report);
}

async fn check(lab: &Lab, name: &str, server: &Server) -> Report {
    let captures = tempfile::tempdir().unwrap();
    let command = server.run.clone().unwrap_or_else(|| format!("/lab/{name} {{port}}"));
    let sections = exercise::all(None).unwrap();
    let wanted = |id: &String| server.sections.as_ref().is_none_or(|wanted| wanted.contains(id));
    let request = Request {
        build: None,
        build_within: Duration::from_mins(1),
        programs: [("server".to_owned(), command)].into(),
        sections: sections.into_iter().filter(|t| wanted(&t.exercise.id)).collect(),
        captures: captures.path().to_owned(),
        origin: Origin::default(),
    };
    let state = lab.runtime.lab(&lab.name).await.unwrap().unwrap();
    let report =
        check::run(&request, lab.runtime.as_ref(), &state, std::future::pending(), &mut |_| ()).await;
    let report = report.unwrap();
    judged_again_it_is_the_same(&report);
    report
}

/// Asserts that the record of each run is enough to reach the same verdicts without a lab.
fn judged_again_it_is_the_same(report: &Report) {
    for section in &report.sections {
        let again = section.runs.iter().flat_map(|run| {
            let record = Record::read(run.evidence.parent().unwrap()).unwrap();
            judge::judge(&record.exercise, &record, run.clone()).checks
        });
        let told = |checks: Vec<CheckResult>| -> Vec<_> {
            checks.into_iter().map(|check| (check.id, check.verdict, check.observed)).collect()
        };
        if !section.runs.is_empty() {
            assert_eq!(told(again.collect()), told(section.checks.clone()), "section {}", section.exercise);
        }
    }
}

fn compare(server: &Server, report: &Report) {
    let mut wrong = String::new();
    let asked: BTreeSet<&str> =
        report.sections.iter().flat_map(|s| &s.checks).map(|check| check.id.as_str()).collect();
    assert!(!asked.is_empty(), "nothing was judged");
    for id in server.fails.iter().filter(|id| !asked.contains(id.as_str())) {
        wrong += &format!("{id}: was not asked\n");
    }
    for section in &report.sections {
        for check in &section.checks {
            let wanted = if server.fails.contains(&check.id) {
                Verdict::Fail
            } else if server.unknown.contains(&section.exercise) {
                Verdict::Error
            } else {
                Verdict::Pass
            };
            if check.verdict != wanted {
                let rows = check.evidence.join("\n    ");
                wrong += &format!(
                    "{}.{}: {}, expected {wanted}: {}\n    {rows}\n",
                    section.exercise, check.id, check.verdict, check.observed
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Labs not in use now. Each has the compiled servers at /lab.
static LABS: Mutex<Vec<Lab>> = Mutex::new(Vec::new());

fn take_lab(kind: RuntimeKind) -> Lab {
    let mut labs = LABS.lock().unwrap();
    if let Some(at) = labs.iter().position(|lab| lab.runtime.kind() == kind) {
        return labs.swap_remove(at);
    }
    drop(labs);
    let mount = format!("mounts: [\"{}:/lab\"]", programs().display());
    Lab::up(kind, &format!("hosts:\n  server: {{role: server, {mount}}}\n  client: {{count: 2}}\n"))
}

/// The folder of the compiled servers, once there is one.
static PROGRAMS: Mutex<Option<TempDir>> = Mutex::new(None);

fn programs() -> PathBuf {
    PROGRAMS.lock().unwrap().get_or_insert_with(compile).path().to_owned()
}

fn compile() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labs/mutants");
    fs::copy(sources.join("forking.py"), folder.path().join("forking.py")).unwrap();
    for (name, server) in matrix() {
        let Some(what) = server.c else { continue };
        let mut gcc = Command::new("gcc");
        gcc.args(["-static", "-O1", "-Wall", "-pthread", "-D", &what, "-o"]);
        let output = gcc.arg(folder.path().join(name)).arg(sources.join("server.c")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    folder
}
