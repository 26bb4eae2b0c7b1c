//! Files that netlab writes are whole or not there, and nothing temporary stays. A limit on the size of files stands
//! for a disk that is full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const RUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run/evidence.json");

/// Runs netlab where no file may become longer than that.
fn with_files_up_to(bytes: u64, arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={bytes}")).arg(env!("CARGO_BIN_EXE_netlab")).args(arguments);
    command.current_dir(folder).output().unwrap()
}

fn netlab(arguments: &[&str], folder: &Path) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_netlab")).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An outside cause, told as one.
fn assert_no_room(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("cannot write") && said.contains("File too large"), "{said}");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

#[test]
fn an_older_report_stays_until_the_new_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(RUN, folder.path().join("evidence.json")).unwrap();
    netlab(&["report", "."], folder.path());
    let report = fs::read(folder.path().join("report.html")).unwrap();
    assert!(report.len() > 20_000);
    let before = files(folder.path());
    assert_no_room(&with_files_up_to(20_000, &["report", "."], folder.path()));
    assert_eq!(fs::read(folder.path().join("report.html")).unwrap(), report);
    assert_eq!(files(folder.path()), before);
    assert_no_room(&with_files_up_to(20_000, &["report", ".", "-o", "other"], folder.path()));
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_report_goes_where_it_is_to() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::copy(RUN, at("evidence.json")).unwrap();
    fs::write(at("old"), "old").unwrap();
    std::os::unix::fs::symlink("old", at("link")).unwrap();
    netlab(&["report", ".", "-o", "link"], folder.path());
    assert!(at("link").is_symlink(), "as whoever made it wants it");
    assert!(fs::read_to_string(at("old")).unwrap().starts_with("<!DOCTYPE"));
    netlab(&["report", ".", "-o", "/dev/null"], folder.path());
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let full = Command::new(env!("CARGO_BIN_EXE_netlab"))
        .args(["report", ".", "-o", "/dev/full"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(3), "{full:?}");
}

#[test]
fn a_workspace_that_was_cut_short_is_completed_by_the_next_try() {
    let folder = tempfile::tempdir().unwrap();
    let (cut, whole) = (folder.path().join("cut"), folder.path().join("whole"));
    assert_no_room(&with_files_up_to(1000, &["init", "cut"], folder.path()));
    netlab(&["init", "cut"], folder.path());
    netlab(&["init", "whole"], folder.path());
    let content = |of: &Path| -> Vec<_> {
        let named = |path: PathBuf| (path.strip_prefix(of).unwrap().to_owned(), fs::read(&path).unwrap());
        files(of).into_iter().map(named).collect()
    };
    assert_eq!(content(&cut), content(&whole));
}

#[test]
fn an_older_archive_stays_until_the_new_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    netlab(&["init", "work"], folder.path());
    netlab(&["submit", "work", "-o", "mine.tar.gz"], folder.path());
    let (before, archive) = (files(folder.path()), fs::read(folder.path().join("mine.tar.gz")).unwrap());
    assert_no_room(&with_files_up_to(100, &["submit", "work", "-o", "mine.tar.gz"], folder.path()));
    assert_eq!(fs::read(folder.path().join("mine.tar.gz")).unwrap(), archive);
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_parent_that_ignores_its_children_does_not_matter() {
    let ignoring = ["--ignore-signal=CHLD", env!("CARGO_BIN_EXE_netlab"), "doctor"];
    let doctor = Command::new("env").args(ignoring).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(said.contains("namespaces") && !said.contains("No child process"), "{said}");
}
