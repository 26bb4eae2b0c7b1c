//! Every exercise passes, on every runtime alike; and the files that describe them are right.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::support::{
    self, Lab, block_on,
    trials::{On, trial},
};
use libtest_mimic::Trial;
use netlab::{
    exercise::{self, Options, Template},
    judge::{CheckResult, Verdict, judge},
    record::Record,
    report,
    run::{self, Folder},
    runtime::RuntimeKind,
    yaml::Problems,
};

const KINDS: [RuntimeKind; 2] = [RuntimeKind::Namespaces, RuntimeKind::Docker];

/// An exercise that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(1);

pub fn trials() -> Vec<Trial> {
    let each = On::each("exercises");
    let mut trials = vec![
        trial("exercises::the_committed_schema_is_the_current_one", the_committed_schema_is_the_current_one),
        trial("exercises::mistakes_are_shown_where_they_are", mistakes_are_shown_where_they_are),
    ];
    for on in &each {
        let kind = on.kind;
        let mut add = |name: &str, test: Box<dyn FnOnce() + Send>| trials.push(on.trial(name, test));
        for template in exercise::all(None).unwrap() {
            let id = template.exercise.id.clone();
            add(&format!("exercise_{id}_passes"), Box::new(move || passes(&checks(kind, &template))));
        }
        let again = exercise::find("2", None).unwrap();
        add("exercise_2_passes_twice_in_a_row", Box::new(move || twice(kind, &again)));
        add("the_example_of_the_readme_passes", Box::new(move || passes(&perform(kind, &example()))));
    }
    let alone = each.iter().find_map(|on| on.missing.as_ref());
    let label = alone.map_or(String::new(), |why| format!(" ({why})"));
    for template in exercise::all(None).unwrap() {
        let name = format!("exercises::both{label}::exercise_{}_is_judged_alike", template.exercise.id);
        let alike = move || assert_eq!(verdicts(KINDS[0], &template), verdicts(KINDS[1], &template));
        trials.push(trial(&name, alike).with_ignored_flag(alone.is_some()));
    }
    trials
}

/// What came of an exercise on the shared lab, which is kept for who asks next. One at a time a lab.
fn checks(kind: RuntimeKind, template: &Template) -> Vec<CheckResult> {
    static DONE: [Mutex<BTreeMap<String, Vec<CheckResult>>>; 2] = [const { Mutex::new(BTreeMap::new()) }; 2];
    let place = KINDS.iter().position(|k| *k == kind).unwrap();
    let mut done = DONE[place].lock().unwrap_or_else(PoisonError::into_inner);
    done.entry(template.exercise.id.clone()).or_insert_with(|| run_on(Lab::shared(kind), template)).clone()
}

/// What comes of it on a lab of its own.
fn perform(kind: RuntimeKind, template: &Template) -> Vec<CheckResult> {
    run_on(&Lab::up(kind, support::ROOM), template)
}

fn run_on(lab: &Lab, template: &Template) -> Vec<CheckResult> {
    let captures = tempfile::tempdir().unwrap();
    let folder = Folder::create(captures.path(), "test").unwrap();
    let record = block_on(async {
        let state = lab.runtime.lab(&lab.name).await.unwrap().unwrap();
        let (options, too_long) = (Options::default(), tokio::time::sleep(LIMIT));
        run::run(template, lab.runtime.as_ref(), &state, &options, &folder, too_long, &mut |_, _| ()).await
    });
    let outcome = report::conclude(&record.unwrap(), &folder).unwrap();
    for artifact in [&outcome.artifacts.capture, &outcome.artifacts.evidence, &outcome.artifacts.report] {
        assert!(std::fs::metadata(artifact).unwrap().len() > 0, "{}", artifact.display());
    }
    judged_again_it_is_the_same(&outcome.artifacts.evidence, &outcome.checks);
    outcome.checks
}

/// What was written is enough to come to the same, without a lab.
fn judged_again_it_is_the_same(evidence: &Path, checks: &[CheckResult]) {
    let folder = evidence.parent().unwrap();
    let record = Record::read(folder).unwrap();
    let again = judge(&record.exercise, &record, Folder::of(folder).unwrap().artifacts());
    let told = |checks: &[CheckResult]| serde_json::to_string_pretty(checks).unwrap();
    assert_eq!(told(&again.checks), told(checks));
}

fn passes(checks: &[CheckResult]) {
    let others = checks.iter().filter(|check| check.verdict != Verdict::Pass);
    let others: Vec<_> = others
        .map(|c| format!("{} {}: {}\n{}", c.verdict, c.id, c.observed, c.evidence.join("\n")))
        .collect();
    assert!(!checks.is_empty() && others.is_empty(), "{}", others.join("\n"));
}

/// The second time, the first one's connections are in TIME_WAIT.
fn twice(kind: RuntimeKind, template: &Template) {
    let lab = Lab::up(kind, support::ROOM);
    passes(&run_on(&lab, template));
    passes(&run_on(&lab, template));
}

fn verdicts(kind: RuntimeKind, template: &Template) -> Vec<(String, Verdict)> {
    checks(kind, template).into_iter().map(|check| (check.id, check.verdict)).collect()
}

/// The exercise that `exercises/README.md` shows.
fn example() -> Template {
    exercise::parse(Path::new("exercises/README.md"), &example_text()).unwrap()
}

fn example_text() -> String {
    let readme = std::fs::read_to_string("exercises/README.md").unwrap();
    let example = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    example.unwrap().to_owned()
}

fn the_committed_schema_is_the_current_one() {
    let schema = std::fs::read_to_string("exercises/schema.json").unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(
        schema == exercise::schema(),
        "exercises/schema.json is old: `netlab schema exercise >exercises/schema.json`"
    );
    for entry in std::fs::read_dir("exercises").unwrap() {
        let file: PathBuf = entry.unwrap().path();
        if file.extension().is_some_and(|e| e == "yaml") {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("# yaml-language-server: $schema=schema.json\n"), "{}", file.display());
        }
    }
}

/// What of the example becomes what, and what is said of that.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("signal: KILL", "singal: KILL", "26:5 steps[3].singal: unknown key; did you mean signal?"),
    (
        "signal: KILL",
        "signal: KLIL",
        "26:13 steps[3].signal: no signal is named KLIL here; did you mean KILL?",
    ),
    ("to: c", "to: d", "23:9 steps[2].to: no program is named d here; did you mean c?"),
    (
        "{port}\n\nsteps",
        "{prot}\n\nsteps",
        "11:11 programs.server: no variable is named prot here; did you mean port?",
    ),
    ("at: killed", "at: kiled", "42:9 checks[1].at: no look is named kiled here; did you mean killed?"),
    (
        "state: FIN_WAIT2, owner",
        "state: FIN_WAIT, owner",
        "46:31 checks[1].show.sockets[1].state: wrong value: the text `FIN_WAIT`; did you mean FIN_WAIT1?",
    ),
    ("id: half-closed", "id: parent-lives", "49:9 checks[2].id: two checks have the id parent-lives"),
    ("    on: server\n    require", "    require", "15:12 steps[0].start: `start: server` needs `on: HOST`"),
    (
        "on: client1\n  - type",
        "on: clinet1\n  - type",
        "21:9 steps[1].on: no host is named clinet1 here; did you mean client1?",
    ),
    (
        "{on: client1, state: CLOSE_WAIT, count: 1}\n        - {on: server, state: FIN_WAIT2, count",
        "{on: clinet1, state: CLOSE_WAIT, count: 1}\n        - {on: server, state: FIN_WAIT2, count",
        "30:16 steps[3].wait.sockets[0].on: no host is named clinet1 here; did you mean client1?",
    ),
    (
        "{on: server, state: FIN_WAIT2, owner",
        "{on: sever, state: FIN_WAIT2, owner",
        "46:16 checks[1].show.sockets[1].on: no host is named sever here; did you mean server?",
    ),
    (
        "{count: 1, closed_by",
        "{count: 1, from: cleint1, closed_by",
        "39:39 checks[0].show.conversations.from: no host is named cleint1 here; did you mean client1?",
    ),
    (
        "{count: 1, closed_by",
        "{count: {min: 0}, closed_by",
        "39:30 checks[0].show.conversations.count: any number would do",
    ),
    (
        "state: Z, count: 0}\n    look",
        "state: zombie, count: 0}\n    look",
        "32:38 steps[3].wait.processes.state: \"zombie\" are no state letters: `ps` shows RSDTtZXI",
    ),
    (
        "state: Z, count: 0}\n    look",
        "state: Z, died: KLIL, count: 0}\n    look",
        "32:47 steps[3].wait.processes.died: no signal is named KLIL here; did you mean KILL?",
    ),
    (
        "state: Z, count: 0}\n    look",
        "state: Z, catch: [CHLD, PIPPE], count: 0}\n    look",
        "32:55 steps[3].wait.processes.catch[1]: no signal is named PIPPE here; did you mean PIPE?",
    ),
    (
        "prints: hello}",
        "ended: runing}",
        "24:38 steps[2].wait.program.ended: no signal is named runing here; did you mean running?",
    ),
    (
        "{name: c, prints: hello}",
        "{name: c}",
        "24:21 steps[2].wait.program: neither what it `prints` nor how it `ended`",
    ),
    (
        "{name: c, prints: hello}",
        "{name: c, ended: any, lines: 2}",
        "24:50 steps[2].wait.program.lines: `lines` needs `prints`",
    ),
    (
        "signal: KILL",
        "signal: KILL\n    eof: c",
        "26:13 steps[3].signal: a step does one thing: `eof` or `signal`",
    ),
    (
        "to: server.child",
        "to: server.chidl",
        "27:9 steps[3].to: no process of a program is named chidl here; did you mean child?",
    ),
    ("  - type: hello", "  - within_ms: 100\n  - type: hello", "22:5 steps[2]: a step that does nothing"),
    (
        "type: hello\n    to: c\n",
        "say: hello\n    to: c\n",
        "23:9 steps[2].to: `to` needs `type`, `send` or `signal`",
    ),
    (
        "look: killed",
        "look: killed\n  - steps: [{eof: c}]\n    look: ended",
        "35:11 steps[4].look: `look` has no place beside `steps`: it is a step of its own",
    ),
    (
        "show:\n      listens: server\n      processes: {of: server, state: Z, count: 0}",
        "show: {}",
        "52:11 checks[2].show: no fact",
    ),
    (
        "listens: server\n      processes",
        "cpu: {of: server, since: killed, ticks: 1}\n      processes",
        "53:32 checks[2].show.cpu.since: no earlier look is named killed here",
    ),
    (
        "listens: server\n      processes",
        "signaled: {of: server, signal: KLIL, count: 1}\n      processes",
        "53:38 checks[2].show.signaled.signal: no signal is named KLIL here; did you mean KILL?",
    ),
];

fn mistakes_are_shown_where_they_are() {
    let text = example_text();
    for (right, wrong, expected) in MISTAKES {
        assert!(text.contains(right), "{right}");
        let error = exercise::parse(Path::new("x.yaml"), &text.replacen(right, wrong, 1)).unwrap_err();
        let problems = Problems::of(&error).unwrap().to_json();
        let problem = &problems[0];
        let word = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
        let near = problem["suggestion"].as_str().map_or(String::new(), |s| format!("; did you mean {s}?"));
        let shown =
            format!("{}:{} {}: {}{near}", problem["line"], problem["column"], word("path"), word("message"));
        assert_eq!(shown, *expected, "{wrong}");
    }
}
