//! `netlab init` and `netlab check` as a student types them. Whatever happens to the lab meanwhile, no student is
//! marked wrong for it.

use std::{
    fs,
    io::{BufRead, BufReader, Seek},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::support::{Lab, block_on, engine::PassedOn, trials::On, unique};
use libtest_mimic::Trial;
use netlab::{
    check::{self, Progress, Report, Request},
    exercise::{self, Origin},
    judge::Verdict,
    runtime::RuntimeKind,
    timeline::What,
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

type Case = fn(RuntimeKind);

const CASES: [(&str, Case); 11] = [
    ("the_starter_is_right_but_for_its_gaps", the_starter_is_right_but_for_its_gaps),
    ("commands_by_hand_work_as_they_stand", commands_by_hand_work_as_they_stand),
    ("all_sections_end_with_one_verdict_and_one_page", all_sections_end_with_one_verdict_and_one_page),
    ("what_does_not_compile_or_start_is_an_error", what_does_not_compile_or_start_is_an_error),
    ("a_change_is_checked_again", a_change_is_checked_again),
    ("a_host_that_dies_marks_nobody_wrong", a_host_that_dies_marks_nobody_wrong),
    ("a_host_that_somebody_restarts_marks_nobody_wrong", a_host_that_somebody_restarts_marks_nobody_wrong),
    ("a_client_that_somebody_kills_marks_nobody_wrong", a_client_that_somebody_kills_marks_nobody_wrong),
    ("who_takes_all_memory_is_told_so", who_takes_all_memory_is_told_so),
    ("a_lab_that_goes_away_marks_nobody_wrong", a_lab_that_goes_away_marks_nobody_wrong),
    ("an_engine_that_stops_marks_nobody_wrong", an_engine_that_stops_marks_nobody_wrong),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for mut on in On::each("check") {
        let kind = on.kind;
        trials.extend(CASES.map(|(name, case)| on.trial(name, move || case(kind))));
        if !nix::unistd::geteuid().is_root() {
            on.missing.get_or_insert("needs root".into());
        }
        trials.push(on.trial("a_full_disk_marks_nobody_wrong", move || a_full_disk_marks_nobody_wrong(kind)));
    }
    trials
}

fn the_starter_is_right_but_for_its_gaps(kind: RuntimeKind) {
    let room = Room::new(kind);
    let report: Value = serde_json::from_str(&room.check(0, &["2", "--json"])).unwrap();
    assert_eq!(report["verdict"], "pass", "{report}");
    assert_eq!(report["build"]["status"]["exited"], 0);
    assert_eq!(report["sections"][0]["exercise"], "2");

    let told = room.check(1, &["5"]);
    let by_hand =
        format!("by hand: netlab exec --lab {} server -- /lab/TCPEchod 8105 </dev/null &", room.lab);
    let seen = "in the report: look “with-reaper”, process ";
    for word in
        ["fail  no-zombies-with-reaper", "<defunct>", seen, &by_hand, "`--hint` gives", "of 6 checks pass"]
    {
        assert!(told.contains(word), "{word} is not in:\n{told}");
    }
    assert!(told.contains("pass  zombies-without-reaper"), "its other build is judged, too:\n{told}");
    let told = room.check(1, &["5", "--hint", "--hint"]);
    assert_eq!(told.matches("      hint: ").count(), 3, "{told}");

    let refused = room.netlab(&["check", "processes"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let refused = room.netlab(&["check", "5", "--build", "without_reper=x"]).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("did you mean without_reaper"), "{told}");
}

/// The programs of a run are gone when somebody reads its report: what is shown to type starts them, too.
fn commands_by_hand_work_as_they_stand(kind: RuntimeKind) {
    let room = Room::new(kind);
    // A student's server.
    let report: Value = serde_json::from_str(&room.check(1, &["5", "--json"])).unwrap();
    let typed = room.by_hand(&report["sections"][0]["checks"], "no-zombies-with-reaper");
    assert_eq!(typed.matches("[TCPEchod] <defunct>").count(), 3, "{typed}");

    // The lab's own: connected clients, and what one that was interrupted leaves.
    let run = room.netlab(&["exercise", "2"]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let runs = fs::read_dir(room.folder.path().join("captures")).unwrap().flatten().map(|entry| entry.path());
    let run = runs.filter(|run| run.to_string_lossy().contains("exercise-2-")).max().unwrap();
    let evidence: Value = serde_json::from_slice(&fs::read(run.join("evidence.json")).unwrap()).unwrap();
    let typed = room.by_hand(&evidence["checks"], "connection-owned-by-child");
    let held = typed
        .lines()
        .filter(|l| l.contains(":8102 ") && l.contains("ESTABLISHED") && l.contains("/tcpechod"));
    assert_eq!(held.count(), 2, "{typed}");
    let typed = room.by_hand(&evidence["checks"], "time-wait-on-clients");
    assert!(typed.contains("TIME_WAIT   -"), "{typed}");
    let typed = room.by_hand(&evidence["checks"], "handshake-per-client");
    assert!(typed.contains("client1"), "{typed}");
}

fn all_sections_end_with_one_verdict_and_one_page(kind: RuntimeKind) {
    let room = Room::new(kind);
    let report: Value = serde_json::from_str(&room.check(1, &["all", "--json"])).unwrap();
    let sections = report["sections"].as_array().unwrap();
    assert_eq!((&report["verdict"], sections.len()), (&"fail".into(), 6), "{report}");
    let page = room.folder.path().join(report["page"].as_str().unwrap());
    let text = fs::read_to_string(&page).unwrap();
    for section in sections {
        let id = section["exercise"].as_str().unwrap();
        assert!(text.contains(&format!("href=\"#section-{id}\"")), "section {id} is in the navigation");
    }
    let links: Vec<&str> =
        text.split("href=\"../").skip(1).map(|link| link.split('"').next().unwrap()).collect();
    for link in &links {
        let (file, id) = link.split_once('#').unwrap_or((link, ""));
        let run = fs::read_to_string(page.parent().unwrap().parent().unwrap().join(file)).unwrap();
        assert!(id.is_empty() || run.contains(&format!("id=\"{id}\"")), "{link}");
    }
    assert!(links.iter().any(|link| link.ends_with("#check-no-zombies-with-reaper")), "{links:?}");
}

fn what_does_not_compile_or_start_is_an_error(kind: RuntimeKind) {
    let room = Room::new(kind);
    let missing = room.check(3, &["2", "--server", "/lab/nothing {port}"]);
    assert!(missing.contains("error server-listens"), "{missing}");
    let ended = room.check(3, &["2", "--server", "sh -c 'echo out of luck; exit 7'"]);
    assert!(ended.contains("exit 7") && ended.contains("out of luck"), "{ended}");

    let source = room.folder.path().join("TCPEchod.c");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replacen("int main", "integer main", 1)).unwrap();
    let told = room.check(3, &["2"]);
    assert!(told.contains("unknown type name") && told.contains("integer"), "the compiler's words: {told}");

    let build = "build: \"printf '\\\\033]0;title\\\\007'; exit 1 # \\e[2J\"\nserver: /lab/x {port}\n";
    fs::write(room.folder.path().join("netlab.yaml"), build).unwrap();
    let output = room.netlab(&["check", "2"]).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(told.contains("title") && told.contains("\\u{1b}[2J"), "{told}");
    assert!(!told.contains(['\u{1b}', '\u{7}']), "nothing that steers a terminal: {told}");
}

fn a_change_is_checked_again(kind: RuntimeKind) {
    let room = Room::new(kind);
    let mut child = room.netlab(&["check", "3", "--watch"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut wait_for = |words: &str| {
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("it ended before it said: {words}"))
    };
    wait_for("waiting for a change");
    let source = room.folder.path().join("TCPEchod.c");
    fs::write(&source, fs::read_to_string(&source).unwrap() + "\n").unwrap();
    assert!(wait_for("has changed").contains("TCPEchod.c"));
    wait_for("waiting for a change");
    end(&mut child);
}

/// ^C, and the exit code for it.
fn end(child: &mut Child) {
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

fn a_host_that_dies_marks_nobody_wrong(kind: RuntimeKind) {
    let lab = lab(kind);
    let captures = tempfile::tempdir().unwrap();
    let report = sabotaged(&lab, &captures, async |lab: &Lab| {
        lab.runtime.stop_host(&lab.name, "client2").await.unwrap();
    });
    assert_no_failure(&block_on(report));
}

fn a_host_that_somebody_restarts_marks_nobody_wrong(kind: RuntimeKind) {
    let lab = lab(kind);
    let captures = tempfile::tempdir().unwrap();
    let report = sabotaged(&lab, &captures, async |lab: &Lab| {
        lab.runtime.stop_host(&lab.name, "client1").await.unwrap();
        lab.runtime.start_host(&lab.name, "client1").await.unwrap();
    });
    assert_no_failure(&block_on(report));
}

/// The machine itself may do so when it is out of memory.
fn a_client_that_somebody_kills_marks_nobody_wrong(kind: RuntimeKind) {
    let lab = lab(kind);
    let captures = tempfile::tempdir().unwrap();
    let report = block_on(sabotaged(&lab, &captures, async |lab: &Lab| {
        let until = "until pkill -KILL -x tcpecho; do :; done";
        let kill = netlab::runtime::Command::new(["timeout", "20", "sh", "-c", until]);
        let mut killer = lab.runtime.exec(&lab.name, "client1", &kill).await.unwrap();
        assert_eq!(killer.handle.wait().await.unwrap().code(), 0, "a client was killed");
    }));
    assert_no_failure(&report);
    let told = report.sections.iter().flat_map(|s| &s.checks).map(|check| &check.observed);
    let why = "on client1 was ended by SIGKILL, which this exercise did not send";
    assert!(told.into_iter().any(|told| told.contains(why)), "{report:#?}");
}

fn who_takes_all_memory_is_told_so(kind: RuntimeKind) {
    let lab = Lab::up(kind, "hosts: {server: {role: server, limits: {memory: 64MiB}}, client: {count: 2}}");
    let captures = tempfile::tempdir().unwrap();
    // It buffers everything until the first end of a line.
    let report = block_on(check_of("tail /dev/zero", &lab, &captures, |_| ())).unwrap();
    assert_no_failure(&report);
    let told: Vec<_> = report.sections.iter().flat_map(|s| &s.checks).map(|check| &check.observed).collect();
    // An engine does not count how often a host has reached its limit.
    let why = match kind {
        RuntimeKind::Namespaces => "as one is that takes more than its 64 MiB of memory",
        RuntimeKind::Docker => "ended by SIGKILL",
    };
    assert!(told.iter().any(|told| told.contains(why)), "{told:#?}");
}

fn a_lab_that_goes_away_marks_nobody_wrong(kind: RuntimeKind) {
    let lab = lab(kind);
    let captures = tempfile::tempdir().unwrap();
    let report = sabotaged(&lab, &captures, async |lab: &Lab| {
        lab.runtime.down(&lab.name).await.unwrap();
    });
    assert_no_failure(&block_on(report));
}

/// On namespaces, a lab is held by its keeper.
fn an_engine_that_stops_marks_nobody_wrong(kind: RuntimeKind) {
    let room = Room::new(kind);
    let folder = tempfile::tempdir().unwrap();
    let engine = PassedOn::at(folder.path().join("docker.sock"));
    let mut check = room.netlab(&["check", "1"]);
    check.env("DOCKER_HOST", engine.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    let mut said = BufReader::new(check.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("A client connects")), "the first client has come");
    match kind {
        RuntimeKind::Docker => engine.stop(),
        RuntimeKind::Namespaces => kill(keeper(&room.lab), Signal::SIGKILL).unwrap(),
    }
    let rest = std::thread::spawn(move || said.collect::<Vec<_>>());
    let output = check.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{told}\n{:?}", rest.join());
    assert!(told.contains("error ") && !told.contains("fail "), "{told}");
}

/// Finds the keeper of a lab on namespaces, by its arguments.
fn keeper(lab: &str) -> Pid {
    let named = format!("\0keeper\0{lab}\0");
    let pids = fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    let is_it = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|argv| argv.ends_with(named.as_bytes()))
    };
    Pid::from_raw(pids.into_iter().find(is_it).unwrap())
}

fn a_full_disk_marks_nobody_wrong(kind: RuntimeKind) {
    let lab = lab(kind);
    let report = std::thread::scope(|scope| {
        // A mount namespace is a thread's own.
        let check = scope.spawn(|| {
            let captures = tempfile::tempdir().unwrap();
            let nothing = None::<&str>;
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).unwrap();
            mount(Some("none"), captures.path(), Some("tmpfs"), MsFlags::empty(), Some("size=64k")).unwrap();
            let report = block_on(sabotaged(&lab, &captures, async |_: &Lab| ()));
            nix::mount::umount(captures.path()).unwrap();
            report
        });
        check.join().unwrap()
    });
    assert_no_failure(&report);
}

fn lab(kind: RuntimeKind) -> Lab {
    Lab::up(kind, "hosts: {server: {role: server}, client: {count: 2}}")
}

/// Judges a correct server by a section, and disturbs the lab as soon as a client has typed.
async fn sabotaged(lab: &Lab, captures: &TempDir, harm: impl AsyncFnOnce(&Lab)) -> Report {
    let (typed, mut hear) = mpsc::unbounded_channel();
    // Owned by the check, so that nobody waits for what can no longer come.
    let tell = move |what: &What| {
        if matches!(what, What::Typed { .. }) {
            let _ = typed.send(());
        }
    };
    let harm = async {
        if hear.recv().await.is_some() {
            harm(lab).await;
        }
    };
    tokio::join!(check_of("tcpechod {port}", lab, captures, tell), harm).0.unwrap()
}

/// Judges a server by a section.
async fn check_of(
    server: &str,
    lab: &Lab,
    captures: &TempDir,
    mut hear: impl FnMut(&What) + Send,
) -> netlab::Result<Report> {
    let request = Request {
        build: None,
        build_within: Duration::from_mins(1),
        programs: [("server".to_owned(), server.to_owned())].into(),
        sections: vec![exercise::find("1", None).unwrap()],
        captures: captures.path().to_owned(),
        origin: Origin::default(),
    };
    let state = lab.runtime.lab(&lab.name).await.unwrap().unwrap();
    let mut tell = |news: Progress<'_>| {
        if let Progress::Event(_, event) = news {
            hear(&event.what);
        }
    };
    check::run(&request, lab.runtime.as_ref(), &state, std::future::pending(), &mut tell).await
}

/// Some check has no verdict, and none counts against the server.
fn assert_no_failure(report: &Report) {
    assert_eq!(report.verdict, Verdict::Error, "{report:#?}");
    let failed = report.sections.iter().flat_map(|s| &s.checks).find(|c| c.verdict == Verdict::Fail);
    assert!(failed.is_none(), "{failed:#?}");
}

/// A workspace, and a lab of its own that goes away with it.
struct Room {
    folder: TempDir,
    kind: RuntimeKind,
    lab: String,
}

impl Room {
    fn new(kind: RuntimeKind) -> Self {
        let room = Self { folder: tempfile::tempdir().unwrap(), kind, lab: unique("w") };
        assert!(room.netlab(&["init", "."]).output().unwrap().status.success());
        room
    }

    fn netlab(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
        command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::null());
        command.env("NETLAB_LAB", &self.lab).env("NETLAB_RUNTIME", self.kind.to_string());
        command
    }

    /// What comes of typing what a check says to type, at a shell in the workspace.
    fn by_hand(&self, checks: &Value, id: &str) -> String {
        let check = checks.as_array().unwrap().iter().find(|check| check["id"] == id).unwrap();
        let lines = check["by_hand"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        let netlab = Path::new(env!("CARGO_BIN_EXE_netlab")).parent().unwrap().display();
        let mut shell = Command::new("sh");
        shell.args(["-c", &lines.collect::<Vec<_>>().join("\n")]).current_dir(self.folder.path());
        shell.env("PATH", format!("{netlab}:{}", std::env::var("PATH").unwrap()));
        // What it leaves in the background keeps a pipe open.
        let mut output = tempfile::tempfile().unwrap();
        shell.stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap()).stdin(Stdio::null());
        shell.env("NETLAB_RUNTIME", self.kind.to_string());
        let status = shell.status().unwrap();
        output.rewind().unwrap();
        let typed = std::io::read_to_string(output).unwrap();
        assert!(status.success(), "{id}: {status}: {typed}");
        typed
    }

    /// Returns what a check prints that must end with this code.
    fn check(&self, code: i32, arguments: &[&str]) -> String {
        let mut command = self.netlab(&["check"]);
        let output = command.args(arguments).stdout(Stdio::piped()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
        told
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.netlab(&["down"]).output();
    }
}
