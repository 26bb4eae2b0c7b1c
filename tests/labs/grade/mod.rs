//! `netlab grade` on a small class with some malicious submissions, on every available runtime.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::support::trials::{On, trial};
use libtest_mimic::Trial;
use netlab::{class::submission::pack, runtime::RuntimeKind};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

const SERVER: &str = include_str!("server.c");
const BOMB: &str = include_str!("bomb.c");
const BREAKER: &str = include_str!("breaker.c");
const FLOOD: &str = include_str!("flood.c");

const COURSE: &str = "\
title: Sockets
sections: {\"2\": {weight: 2, checks: {time-wait-on-clients: 0}}}
programs: [server]
deadline: 2026-01-31T23:59:00Z
late: {percent_per_day: 1, percent_at_most: 20}
limits: {seconds: 40, build_seconds: 15, disk: 16MiB, pids: 50, memory: 256MiB}
";

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for on in On::each("grade") {
        let kind = on.kind;
        let mut add = |name: &str, case: fn(RuntimeKind)| trials.push(on.trial(name, move || case(kind)));
        add("each_gets_their_own_marks_and_nobody_elses", each_gets_their_own_marks_and_nobody_elses);
        add("a_lab_that_breaks_costs_nobody_marks", a_lab_that_breaks_costs_nobody_marks);
        add("it_stops_and_goes_on_where_it_was", it_stops_and_goes_on_where_it_was);
        add("a_class_is_judged_again_without_a_lab", a_class_is_judged_again_without_a_lab);
        add("grades_are_nobodys_submission", grades_are_nobodys_submission);
        add("nobody_takes_their_lab_down", nobody_takes_their_lab_down);
    }
    trials.push(trial(
        "grade::a_wrong_course_is_shown_where_it_is_wrong",
        a_wrong_course_is_shown_where_it_is_wrong,
    ));
    trials.push(trial(
        "grade::the_example_is_right_and_its_schema_current",
        the_example_is_right_and_its_schema_current,
    ));
    trials.push(trial("grade::copies_are_shown_side_by_side", copies_are_shown_side_by_side));
    trials
}

/// A class in its own folder.
struct Class(TempDir);

impl Class {
    fn new() -> Self {
        let class = Self(tempfile::tempdir().unwrap());
        fs::create_dir(class.path("class")).unwrap();
        fs::write(class.path("course.yaml"), COURSE).unwrap();
        class
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Adds a student's folder with these files.
    fn hand_in(&self, student: &str, files: &[(&str, &str)]) {
        let folder = self.path("class").join(student);
        fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    /// Adds a submission with a program in C, and how it is compiled and run.
    fn hand_in_c(&self, student: &str, source: &str, flags: &str, server: &str) {
        let manifest = format!("build: gcc {flags} -o /lab/program /lab/program.c\nserver: {server}\n");
        self.hand_in(student, &[("netlab.yaml", &manifest), ("program.c", source)]);
    }

    fn command(&self, kind: RuntimeKind) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
        command.current_dir(self.0.path()).args(["grade", "class", "--course", "course.yaml"]);
        command.args(["--runtime", &kind.to_string(), "--json"]);
        command
    }

    /// Grades, and returns the students by name.
    fn grade(&self, kind: RuntimeKind) -> (Value, Output) {
        let output = self.command(kind).args(["--jobs", "4"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let grades = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
        (grades, output)
    }
}

fn student<'g>(grades: &'g Value, name: &str) -> &'g Value {
    let all = grades["students"].as_array().unwrap();
    all.iter().find(|s| s["student"] == name).unwrap_or_else(|| panic!("{name}: {grades}"))
}

/// Returns the ids of a student's checks with this verdict.
fn ids<'g>(student: &'g Value, verdict: &str) -> Vec<&'g str> {
    let checks = student["sections"][0]["checks"].as_array();
    checks
        .into_iter()
        .flatten()
        .filter(|c| c["verdict"] == verdict)
        .map(|c| c["id"].as_str().unwrap())
        .collect()
}

fn each_gets_their_own_marks_and_nobody_elses(kind: RuntimeKind) {
    let class = Class::new();
    let run = "/lab/program {port}";
    class.hand_in_c("right", SERVER, "", run);
    class.hand_in_c("wrong", SERVER, "-DCAPITALS", run);
    let copy = "build: strip -o /lab/mine $(command -v tcpechod)\nserver: /lab/mine {port}\n";
    class.hand_in("copier", &[("netlab.yaml", copy), ("a.c", "int a;\n")]);
    let leaves = "build: gcc -o /lab/mine /lab/a.c; sleep 1000 &\nserver: /lab/mine {port}\n";
    class.hand_in("leaver", &[("netlab.yaml", leaves), ("a.c", SERVER)]);
    class.hand_in_c("flood", FLOOD, "", run);
    class.hand_in_c("no-c", "int main(void) { return no_such_name; }", "", run);
    let noise = "build: head -c 65000 /dev/zero; exit 1\nserver: /lab/x {port}\n";
    class.hand_in("noisy", &[("netlab.yaml", noise), ("a.c", "int a;\n")]);
    let borrows = "server: sh /lab/r.sh {port}\n";
    class.hand_in("borrower", &[("netlab.yaml", borrows), ("r.sh", "exec tcpechod \"$1\"\n")]);
    class.hand_in_c("logger", SERVER, "", "sh -c \"yes >/proc/1/fd/1 & exec /lab/program {port}\"");
    class.hand_in("slow", &[("netlab.yaml", "build: sleep 1000\nserver: /lab/x {port}\n")]);
    class.hand_in_c("bomb", BOMB, "", run);
    class.hand_in_c("killer", SERVER, "", "sh -c \"kill -9 -1; exec /lab/program {port}\"");
    class.hand_in("hangs", &[("netlab.yaml", "server: sleep 1000 # /lab/{port}\n"), ("a.c", "int a;\n")]);
    let fill = "cat /dev/zero >/lab/zeros; cat /dev/zero >/tmp/zeros; ls -l /lab /tmp; exec sleep 1000\n";
    class.hand_in("filler", &[("netlab.yaml", "server: sh /lab/fill {port}\n"), ("fill", fill)]);
    class.hand_in("empty", &[("netlab.yaml", "sever: x\n")]);
    hostile(&class.path("class/hostile.tar.gz"));

    let (grades, output) = class.grade(kind);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{grades:#}");
    let of = |name: &str| student(&grades, name);
    // Everything passes, less the maximum penalty for lateness.
    assert_eq!(of("right")["points"], 8.0, "{:#}", of("right"));
    assert_eq!(of("right")["late"]["percent"], 20.0);
    assert_eq!(of("leaver")["points"], 8.0, "{:#}", of("leaver"));
    assert_eq!(of("right")["notes"], serde_json::json!([]));
    for name in ["copier", "borrower"] {
        let of = of(name);
        assert_eq!(
            (&of["points"], &of["borrowed"]),
            (&0.0.into(), &serde_json::json!(["tcpechod"])),
            "{of:#}"
        );
        let checks = of["sections"][0]["checks"].as_array().unwrap();
        let refused = |check: &Value| check["observed"] == "not the student's own: tcpechod";
        assert!(checks.iter().all(|check| check["verdict"] == "fail" && refused(check)), "{of:#}");
        assert!(of["notes"].to_string().contains("what ran as server is netlab's own program"), "{of:#}");
    }
    assert_eq!(of("right")["borrowed"], serde_json::json!([]));
    assert_eq!(ids(of("wrong"), "fail"), ["lines-come-back"], "{:#}", of("wrong"));
    assert_eq!(of("logger")["points"], 8.0, "{:#}", of("logger"));
    // It may have killed its parent and so be gone itself; otherwise it passes.
    assert!([8.0, 0.0].iter().any(|points| of("killer")["points"] == *points), "{:#}", of("killer"));
    assert_eq!(ids(of("killer"), "fail"), Vec::<&str>::new(), "{:#}", of("killer"));
    let foreign = of("borrower")["notes"].to_string();
    assert!(foreign.contains("what listened as server is not a program of the submission"), "{foreign}");
    for name in ["no-c", "noisy", "slow", "bomb", "hangs", "filler", "flood"] {
        assert_eq!(
            (&of(name)["points"], &of(name)["status"]),
            (&0.0.into(), &"graded".into()),
            "{:#}",
            of(name)
        );
        assert_eq!(ids(of(name), "pass"), Vec::<&str>::new(), "{:#}", of(name));
    }
    what_did_not_compile_is_told_once(&class, &grades);
    let flooded = &of("flood")["sections"][0]["checks"][0]["observed"];
    assert!(flooded.as_str().unwrap().contains("more than 2000 connections"), "{flooded}");
    for (name, why) in [("empty", "sever"), ("hostile", "leads out of its folder")] {
        assert_eq!((&of(name)["points"], &of(name)["status"]), (&0.0.into(), &"refused".into()));
        assert!(of(name)["why"].as_str().unwrap().contains(why), "{:#}", of(name));
    }
    for size in zeros(&class, of("filler")) {
        assert!((1 << 20..=16 << 20).contains(&size), "up to the limit, and not beyond: {size}");
    }
    assert!(!class.path("outside").exists());
    files_hold_the_same(&class, &grades);
    nothing_is_left(&class, kind);
}

fn what_did_not_compile_is_told_once(class: &Class, grades: &Value) {
    for (name, why, words) in [
        ("no-c", "failed (exit 1)", "no_such_name"),
        ("slow", "time ran out: it had 15 s", ""),
        ("noisy", "", "\\u{0}"),
    ] {
        let of = student(grades, name);
        let checks = of["sections"][0]["checks"].as_array().unwrap();
        assert!(checks.iter().all(|check| check["observed"] == "did not compile"), "{of:#}");
        let told = of["why"].as_str().unwrap();
        assert!(told.starts_with("did not compile: ") && told.contains(why), "{of:#}");
        assert!(of["compiler"].as_str().unwrap().contains(words), "{of:#}");
        let results = fs::read_to_string(class.path("grades").join(name).join("results.json")).unwrap();
        assert!(results.len() < 32 << 10 && results.contains("did not compile: "), "{results}");
    }
}

/// An archive that tries to write outside the folder it is unpacked to.
fn hostile(path: &Path) {
    let gzip = flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..10].copy_from_slice(b"../outside");
    header.set_size(3);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append(&header, b"bad".as_slice()).unwrap();
    tar.into_inner().unwrap().finish().unwrap();
}

/// Returns the lengths of the files named `zeros`, from the program's own `ls`, in the student's only run.
fn zeros(class: &Class, student: &Value) -> [u64; 2] {
    let report = Path::new(student["sections"][0]["reports"][0].as_str().unwrap());
    let evidence = class.path("grades").join(report.with_file_name("evidence.json"));
    let evidence: Value = serde_json::from_slice(&fs::read(evidence).unwrap()).unwrap();
    let events = evidence["timeline"].as_array().unwrap().iter();
    let printed: String =
        events.filter(|e| e["what"] == "printed").map(|e| e["text"].as_str().unwrap()).collect();
    let files = printed.lines().filter(|line| line.ends_with(" zeros"));
    let sizes: Vec<u64> =
        files.map(|line| line.split_whitespace().nth(4).unwrap().parse().unwrap()).collect();
    sizes.try_into().unwrap_or_else(|_| panic!("two files: {printed}"))
}

fn files_hold_the_same(class: &Class, grades: &Value) {
    let read = |name: &str| fs::read_to_string(class.path("grades").join(name)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read("grades.json")).unwrap(), *grades);
    let csv = read("grades.csv");
    let borrowed = "\"graded\",0,10,\"tcpechod\",0,";
    assert!(csv.lines().any(|l| l.starts_with("\"copier\",") && l.contains(borrowed)), "{csv}");
    assert!(
        csv.starts_with(
            "\"student\",\"number\",\"received\",\"days late\",\"status\",\"points\",\"of\",\"not their own\",\
             \"2 %\",\"2/server-listens\","
        ),
        "{csv}"
    );
    assert!(
        csv.lines()
            .any(|l| l.starts_with("\"right\",\"\",") && l.contains(",\"graded\",8,10,\"\",100,\"pass\",")),
        "{csv}"
    );
    let page = read("grades.html");
    let report = student(grades, "right")["sections"][0]["reports"][0].as_str().unwrap();
    assert!(page.contains(&format!("<a href=\"{report}\">100 %</a>")), "{page}");
    assert!(class.path("grades").join(report).exists());
    let mode =
        |name: &Path| fs::metadata(class.path("grades").join(name)).unwrap().permissions().mode() & 0o777;
    let run = Path::new(report).parent().unwrap();
    for folder in [Path::new(""), Path::new("right"), run] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for file in
        ["grades.csv", "grades.html", "grades.xml", "grades.json", "right/results.json", "right/grade.json"]
    {
        assert_eq!(mode(Path::new(file)), 0o600, "{file}");
    }
    let junit = read("grades.xml");
    assert!(
        junit.contains("<testsuite name=\"wrong\"") && junit.contains("name=\"lines-come-back\">"),
        "{junit}"
    );
    assert!(junit.contains("<testsuite name=\"hostile\" tests=\"1\" failures=\"0\" errors=\"1\""), "{junit}");
    assert!(csv.lines().any(|l| l.starts_with("\"no-c\",\"\",") && l.contains("did not compile: ")), "{csv}");
    let results: Value = serde_json::from_str(&read("right/results.json")).unwrap();
    assert_eq!(results["score"], 8.0);
    let tests = results["tests"].as_array().unwrap();
    let most: f64 = tests.iter().map(|t| t["max_score"].as_f64().unwrap()).sum();
    assert!((most - 10.0).abs() < 0.1, "{most}");
}

/// Asserts that no lab of the grading is left.
fn nothing_is_left(class: &Class, kind: RuntimeKind) {
    let status = Command::new(env!("CARGO_BIN_EXE_netlab"))
        .args(["status", "--all", "--json", "--runtime", &kind.to_string()])
        .output()
        .unwrap();
    let labs: Value = serde_json::from_slice(&status.stdout).unwrap();
    let own = labs_of(class);
    let labs = labs["labs"].as_array().unwrap();
    let left: Vec<&Value> = labs.iter().filter(|l| l["lab"].as_str().unwrap().starts_with(&own)).collect();
    assert!(left.is_empty(), "{left:?}");
    if kind == RuntimeKind::Docker {
        no_volume_is_left(class);
    }
}

/// Asserts that no volume of the grading is left on the engine.
fn no_volume_is_left(class: &Class) {
    let listed = Command::new("docker").args(["volume", "ls", "-q"]).output();
    // Needs the engine's own client.
    let Ok(listed) = listed else { return };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(!listed.contains(&labs_of(class)), "{listed}");
}

/// Returns the prefix of the labs' names when a class is graded.
fn labs_of(class: &Class) -> String {
    let hash = {
        use sha2::Digest;
        let folder = class.path("grades").canonicalize().unwrap();
        sha2::Sha256::digest(folder.as_os_str().as_encoded_bytes())
    };
    format!("grade-{:02x}{:02x}{:02x}{:02x}-", hash[0], hash[1], hash[2], hash[3])
}

/// Takes down every lab of the grading as soon as it is there.
fn a_lab_that_breaks_costs_nobody_marks(kind: RuntimeKind) {
    let class = Class::new();
    class.hand_in_c("ana", SERVER, "", "/lab/program {port}");
    fs::create_dir(class.path("grades")).unwrap();
    let lab = labs_of(&class) + "1";
    let mut grading = class.command(kind);
    grading.args(["--jobs", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut grading = grading.spawn().unwrap();
    while grading.try_wait().unwrap().is_none() {
        let mut down = Command::new(env!("CARGO_BIN_EXE_netlab"));
        down.args(["down", "--lab", &lab, "--runtime", &kind.to_string()]).output().unwrap();
    }
    let output = grading.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let grades: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let ana = student(&grades, "ana");
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!((&ana["status"], &ana["points"]), (&"error".into(), &Value::Null), "{ana:#}");
    assert!(ids(ana, "fail").is_empty(), "{ana:#}");

    let (grades, _) = class.grade(kind);
    assert_eq!(student(&grades, "ana")["points"], 8.0, "{grades:#}");
    nothing_is_left(&class, kind);
}

/// A program that tries to take down its host's process 1 cannot even trace it, and counts as a server that ends.
fn nobody_takes_their_lab_down(kind: RuntimeKind) {
    let class = Class::new();
    class.hand_in_c("breaker", BREAKER, "", "/lab/program {port}");
    let (grades, output) = class.grade(kind);
    let breaker = student(&grades, "breaker");
    assert_eq!((&breaker["status"], &breaker["points"]), (&"graded".into(), &0.0.into()), "{breaker:#}");
    assert_eq!(output.status.code(), Some(0), "{breaker:#}");
    nothing_is_left(&class, kind);
}

/// Makes the course count only an exercise of its own.
fn with_a_hidden_exercise(class: &Class) {
    fs::create_dir(class.path("own")).unwrap();
    let exercise = include_str!("../../../exercises/2.yaml").replace("id: \"2\"", "id: surprise");
    fs::write(class.path("own/surprise.yaml"), exercise).unwrap();
    let sections = "sections: {surprise: {hidden: true}}\nexercises: own";
    let course = COURSE.lines().map(|line| if line.starts_with("sections") { sections } else { line });
    fs::write(class.path("course.yaml"), course.collect::<Vec<_>>().join("\n")).unwrap();
}

/// After a check has changed, what passed before fails, and the reason is shown.
fn a_class_is_judged_again_without_a_lab(kind: RuntimeKind) {
    let class = Class::new();
    class.hand_in_c("ana", SERVER, "", "/lab/program {port}");
    class.hand_in_c("wrong", SERVER, "-DCAPITALS", "/lab/program {port}");
    class.hand_in("late", &[("netlab.yaml", "server: /lab/none {port}\n"), ("a.c", "int a;\n")]);
    let (before, _) = class.grade(kind);
    let again = |wanted: &str| {
        // No engine answers, and none is needed.
        let mut command = class.command(kind);
        let output = command.arg("--rejudge").env("DOCKER_HOST", "unix:///nonexistent").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(wanted), "{said}");
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), said)
    };
    let (same, said) = again("");
    assert_eq!(same["students"], before["students"], "{said}");

    fs::create_dir(class.path("exercises")).unwrap();
    let text = include_str!("../../../exercises/2.yaml");
    let check = text.split("- id: ").find(|check| check.starts_with("client-closes-first")).unwrap();
    assert!(check.contains("closed_by: client"), "{check}");
    let changed = text.replace(check, &check.replace("closed_by: client", "closed_by: server"));
    fs::write(class.path("exercises/2.yaml"), changed).unwrap();
    fs::write(class.path("course.yaml"), format!("{COURSE}exercises: exercises\n")).unwrap();
    let (after, said) = again("2 client-closes-first: fail, was pass");
    let worth = |grades: &Value| student(grades, "ana")["points"].as_f64().unwrap();
    assert!(worth(&after) < worth(&before), "{said}");
    // Judging again has brought it up to date.
    let (graded, output) = class.grade(kind);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("ana: unchanged"), "{said}");
    assert_eq!(student(&graded, "ana")["points"], student(&after, "ana")["points"]);
    // A new submission must be graded, not judged by an older run.
    fs::write(class.path("class/ana/program.c"), format!("{SERVER}/* better */\n")).unwrap();
    again("ana: unchanged, because its sources have changed since");
}

fn it_stops_and_goes_on_where_it_was(kind: RuntimeKind) {
    let class = Class::new();
    with_a_hidden_exercise(&class);
    class.hand_in_c("ana", SERVER, "", "/lab/program {port}");
    class.hand_in("zoe", &[("netlab.yaml", "server: sleep 1000 # /lab\n"), ("a.c", "int a;\n")]);
    // Packed with evidence to the contrary, which is ignored.
    let run = class.path("class/ana/captures/exercise-2");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("evidence.json"), "{\"verdict\": \"fail\"}").unwrap();
    pack(&class.path("class/ana"), &class.path("class/ana.tar.gz")).unwrap();
    fs::remove_dir_all(class.path("class/ana")).unwrap();

    let mut running = class
        .command(kind)
        .args(["--jobs", "2"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(running.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains("ana: graded")), "ana is first to be done");
    let second = class.command(kind).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(second.status.code() == Some(2) && said.contains("another netlab is grading"), "{said}");
    kill(Pid::from_raw(running.id().cast_signed()), Signal::SIGINT).unwrap();
    let said: Vec<String> = lines.collect();
    assert_eq!(running.wait().unwrap().code(), Some(130), "{said:?}");
    assert!(said.iter().any(|line| line.contains("continues from here")), "{said:?}");
    nothing_is_left(&class, kind);

    let (grades, output) = class.grade(kind);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("ana: unchanged") && said.contains("zoe: graded"), "{said}");
    assert_eq!(student(&grades, "ana")["points"], 8.0, "{grades:#}");
    assert_eq!(student(&grades, "zoe")["points"], 0.0, "{grades:#}");
    let results = fs::read(class.path("grades/ana/results.json")).unwrap();
    let results: Value = serde_json::from_slice(&results).unwrap();
    let tests = results["tests"].as_array().unwrap();
    assert!(!tests.is_empty() && tests.iter().all(|test| test["visibility"] == "hidden"), "{results:#}");

    fs::write(class.path("class/zoe/a.c"), "int b;\n").unwrap();
    fs::write(class.path("class/zoe/netlab.yaml"), "client: /lab/x\n").unwrap();
    let (_, output) = class.grade(kind);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("ana: unchanged") && said.contains("zoe: graded"), "{said}");
    nothing_is_left(&class, kind);
}

fn grades_are_nobodys_submission(kind: RuntimeKind) {
    let class = Class::new();
    fs::write(class.path("class/ana.rar"), "x").unwrap();
    let grade = |out: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
        command.current_dir(class.path("class")).args(["grade", ".", "--runtime", &kind.to_string()]);
        let output = command.args(out).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = grade(&["--out", "."]);
    assert!(code == Some(2) && said.contains("neither empty nor a folder of grades"), "{said}");
    for _ in 0..2 {
        let (code, said) = grade(&[]);
        assert!(code == Some(0) && said.contains(".rar is not supported"), "{said}");
        let csv = fs::read_to_string(class.path("class/grades/grades.csv")).unwrap();
        assert_eq!(csv.lines().count(), 2, "{csv}");
    }
}

fn a_wrong_course_is_shown_where_it_is_wrong() {
    let class = Class::new();
    let course =
        "sections:\n  \"2\": {checks: {server-listen: 2}}\n  \"22\": {}\ndeadline: soon\nlmits: {}\n";
    fs::write(class.path("course.yaml"), course).unwrap();
    class.hand_in("ana", &[("netlab.yaml", "server: x\n")]);
    let output = class.command(RuntimeKind::Namespaces).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for what in [
        "course.yaml:2:18",
        "server-listens",
        "course.yaml:3:3",
        "course.yaml:4:11",
        "`limits`",
        "4 problems",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
}

fn the_example_is_right_and_its_schema_current() {
    let netlab = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_netlab")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let valid = netlab(&["validate", "--json", "course/course.yaml"]);
    assert_eq!((&valid[0]["valid"], &valid[0]["sections"][1]), (&true.into(), &"2".into()));
    let schema: Value = serde_json::from_str(&fs::read_to_string("course/schema.json").unwrap()).unwrap();
    let now = netlab(&["schema", "course"]);
    assert!(schema == now, "course/schema.json is old: `netlab schema course >course/schema.json`");
}

fn copies_are_shown_side_by_side() {
    let class = Class::new();
    let copy = SERVER.replace("passive", "msock").replace("fd", "connection").replace("    ", "\t");
    let other = include_str!("../../../benches/fork_server.c");
    for (name, source) in [("ana", SERVER), ("bea", &copy), ("cleo", other)] {
        class.hand_in_c(name, source, "", "/lab/program {port}");
    }
    let output = class.command(RuntimeKind::Namespaces).arg("--compare").output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pairs = found["alike"].as_array().unwrap();
    let [pair] = pairs.as_slice() else { panic!("{found:#}") };
    assert_eq!((&pair["a"], &pair["b"]), (&"ana".into(), &"bea".into()));
    assert!(pair["share"].as_f64().unwrap() > 0.9, "{pair:#}");
    let place = &pair["places"][0]["b"];
    assert_eq!(place["file"], "program.c");
    assert!(place["to"].as_u64().unwrap() - place["from"].as_u64().unwrap() > 30, "{pair:#}");
}
