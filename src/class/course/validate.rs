//! Checks a course's file for what its schema cannot express.

use std::path::{Path as FilePath, PathBuf};

use jiff::Timestamp;

use super::{File, Rule, Section, moment};
use crate::{
    exercise::Template,
    suggest::nearest,
    yaml::{Document, Path, Problems},
};

/// Returns the deadline.
pub fn deadline(file: &File, document: &Document, problems: &mut Problems) -> Option<Timestamp> {
    let text = file.deadline.as_deref()?;
    let deadline = moment(text);
    if let (None, Some(zone)) = (deadline, unknown_zone(text)) {
        problems.add(|| {
            let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let near = nearest(zone, known.iter().map(String::as_str));
            let problem =
                document.value(&Path::default().key("deadline"), format!("no time zone is called {zone}"));
            problem.expected("a city, e.g. `[Europe/Madrid]`, or an offset, e.g. `+01:00`").suggest(near)
        });
    } else if deadline.is_none() {
        let expected = "a date, a time, and an offset or time zone, e.g. `2026-12-01T23:59:00+01:00`";
        let path = Path::default().key("deadline");
        problems.add(|| document.value(&path, "not a point in time").expected(expected));
    }
    deadline
}

/// Returns the time zone in the text, if this machine does not know it.
fn unknown_zone(text: &str) -> Option<&str> {
    let zone = text.trim_end().strip_suffix(']')?.rsplit_once('[')?.1;
    jiff::tz::db().get(zone).is_err().then_some(zone)
}

/// Returns a folder that the file names, if it exists.
pub fn folder(
    given: Option<&str>,
    key: &str,
    base: &FilePath,
    document: &Document,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let folder = base.join(given?);
    if folder.is_dir() {
        return Some(folder);
    }
    let message = format!("there is no {}", folder.display());
    let problem = || document.value(&Path::default().key(key), message);
    problems.add(|| problem().expected("a folder, relative to that of the file"));
    None
}

/// Returns the programs whose checks count.
pub fn programs(file: &File, all: &[Template], document: &Document, problems: &mut Problems) -> Vec<String> {
    let Some(named) = &file.programs else { return vec!["server".into()] };
    let known: Vec<&str> = all.iter().flat_map(|template| template.exercise.judged()).collect();
    for (n, name) in named.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            problems.add(|| {
                let here = Path::default().key("programs").index(n);
                let problem = document.value(&here, format!("no exercise judges a program \"{name}\""));
                problem.suggest(nearest(name, known.iter().copied()))
            });
        }
    }
    named.clone()
}

/// Returns the exercises that count: those named, or all that judge one of the programs.
pub fn sections(
    file: &File,
    all: Vec<Template>,
    programs: &[String],
    document: &Document,
    problems: &mut Problems,
) -> Vec<Rule> {
    let Some(named) = &file.sections else {
        let rules = all.into_iter().map(|template| rule(template, &Section::default(), programs));
        return rules.filter(|rule| !rule.checks.is_empty()).collect();
    };
    let base = Path::default().key("sections");
    let mut rules = Vec::new();
    for (id, section) in named {
        let here = base.key(id);
        let section = section.clone().unwrap_or_default();
        let Some(template) = all.iter().find(|t| t.exercise.id == *id) else {
            problems.add(|| {
                let ids: Vec<_> = all.iter().map(|t| t.exercise.id.as_str()).collect();
                let problem = document.key(&here, format!("no exercise \"{id}\""));
                let problem = problem.suggest(nearest(id, ids.iter().copied()));
                problem.expected(format!("one of {}", ids.join(", ")))
            });
            continue;
        };
        let rule = rule(template.clone(), &section, programs);
        if rule.checks.is_empty() {
            let expected = "an exercise that judges one of the programs that count";
            problems
                .add(|| document.key(&here, format!("nothing of exercise {id} counts")).expected(expected));
        }
        check_weights(&rule, &section, &here, document, problems);
        rules.push(rule);
    }
    if !rules.is_empty() && rules.iter().all(|rule| rule.weight <= 0.0) {
        let expected = "a weight above 0 for at least one section";
        problems.add(|| document.key(&base, "nothing counts").expected(expected));
    }
    rules
}

fn rule(template: Template, section: &Section, programs: &[String]) -> Rule {
    let counts = |about: &Option<String>| about.as_ref().is_some_and(|about| programs.contains(about));
    let checks = template.exercise.checks.iter().filter(|check| counts(&check.about));
    let weight = |id: &String| section.checks.get(id).copied().unwrap_or(1.0);
    let checks = checks.map(|check| (check.id.clone(), weight(&check.id))).collect();
    Rule { template, weight: section.weight.unwrap_or(1.0), hidden: section.hidden, checks }
}

fn check_weights(rule: &Rule, section: &Section, here: &Path, document: &Document, problems: &mut Problems) {
    for (id, weight) in &section.checks {
        let here = here.key("checks").key(id);
        if !rule.checks.contains_key(id) {
            problems.add(|| {
                let known: Vec<&str> = rule.checks.keys().map(String::as_str).collect();
                let what = format!("exercise {} has no such check that counts", rule.template.exercise.id);
                let problem = document.key(&here, what).suggest(nearest(id, known.iter().copied()));
                problem.expected(format!("one of {}", known.join(", ")))
            });
        }
        if !weight.is_finite() || *weight < 0.0 {
            problems.add(|| document.value(&here, "wrong weight").expected("a number, 0 or more"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Course;
    use crate::yaml::{Document, Problems};

    #[test]
    fn a_time_zone_that_is_not_known_is_named() {
        for (deadline, expected) in [
            ("2026-12-18T23:59:00[Europe/Mardid]", "no time zone is called Europe/Mardid"),
            ("2026-12-18T23:59:00", "not a point in time"),
            ("2026-13-18T23:59:00[UTC]", "not a point in time"),
        ] {
            let text = format!("deadline: {deadline}\n");
            let document = Document::parse("course.yaml", text.as_bytes()).unwrap();
            let error = Course::from_document(&document, "".as_ref()).unwrap_err();
            let problem = Problems::of(&error).unwrap().to_json()[0].clone();
            assert_eq!(problem["message"], expected);
            if deadline.contains("Mardid") && jiff::tz::db().get("Europe/Madrid").is_ok() {
                assert_eq!(problem["suggestion"], "Europe/Madrid");
            }
        }
    }
}
