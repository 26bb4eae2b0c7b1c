//! Every exercise passes, on every runtime alike.

use std::{
    collections::BTreeMap,
    path::Path,
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
    timeline::Event,
};

const KINDS: [RuntimeKind; 2] = [RuntimeKind::Namespaces, RuntimeKind::Docker];

/// An exercise that takes longer than this hangs.
const LIMIT: Duration = Duration::from_mins(1);

pub fn trials() -> Vec<Trial> {
    let each = On::each("exercises");
    let mut trials = Vec::new();
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

/// Returns the result of an exercise on the shared lab, which is kept for later callers. One run at a time per lab.
fn checks(kind: RuntimeKind, template: &Template) -> Vec<CheckResult> {
    static DONE: [Mutex<BTreeMap<String, Vec<CheckResult>>>; 2] = [const { Mutex::new(BTreeMap::new()) }; 2];
    let place = KINDS.iter().position(|k| *k == kind).unwrap();
    let mut done = DONE[place].lock().unwrap_or_else(PoisonError::into_inner);
    done.entry(template.exercise.id.clone()).or_insert_with(|| run_on(Lab::shared(kind), template)).clone()
}

/// Runs an exercise on a lab of its own.
fn perform(kind: RuntimeKind, template: &Template) -> Vec<CheckResult> {
    run_on(&Lab::up(kind, support::ROOM), template)
}

fn run_on(lab: &Lab, template: &Template) -> Vec<CheckResult> {
    let captures = tempfile::tempdir().unwrap();
    let folder = Folder::create(captures.path(), "test").unwrap();
    let record = block_on(async {
        let state = lab.runtime.lab(&lab.name).await.unwrap().unwrap();
        let (options, too_long) = (Options::default(), tokio::time::sleep(LIMIT));
        let mut nobody = |_: &Record, _: &Event| ();
        run::run(template, lab.runtime.as_ref(), &state, &options, &folder, too_long, &mut nobody).await
    });
    let outcome = report::conclude(&record.unwrap(), &folder).unwrap();
    for artifact in [&outcome.artifacts.capture, &outcome.artifacts.evidence, &outcome.artifacts.report] {
        assert!(std::fs::metadata(artifact).unwrap().len() > 0, "{}", artifact.display());
    }
    judged_again_it_is_the_same(&outcome.artifacts.evidence, &outcome.checks);
    outcome.checks
}

/// Asserts that the record is enough to reach the same verdicts without a lab.
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
    let readme = include_str!("../../exercises/README.md");
    let example = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    exercise::parse(Path::new("exercises/README.md"), example.unwrap()).unwrap()
}
