//! `results.json` of one student, in the format of Gradescope's autograders
//! (<https://gradescope-autograders.readthedocs.io/en/latest/specs/>).

use serde_json::{Value, json};

use super::{Marks, Record, points};
use crate::{
    class::{
        course::{Course, Rule},
        grade::{marks::rounded, section::not_their_own},
    },
    judge::{CheckResult, Verdict},
};

/// Returns the student's results. If the lab could not run, there is no score.
pub fn render(course: &Course, record: &Record, marks: Option<&Marks>) -> Value {
    let weights: f64 = course.sections.iter().map(|rule| rule.weight).sum();
    let tests = course.sections.iter().flat_map(|rule| {
        let section = record.sections.iter().find(|s| s.exercise == rule.template.exercise.id);
        let worth = if weights > 0.0 { course.points * rule.weight / weights } else { 0.0 };
        section.into_iter().flat_map(|s| &s.checks).map(move |check| test(rule, worth, check))
    });
    let mut results = json!({
        "execution_time": record.elapsed_ms / 1000,
        "output": words(record, marks),
        "visibility": "visible",
        "tests": tests.collect::<Vec<_>>(),
    });
    if let Some(marks) = marks {
        results["score"] = json!(marks.points);
    }
    results
}

fn test(rule: &Rule, worth: f64, check: &CheckResult) -> Value {
    let all: f64 = rule.checks.values().sum();
    let own = rule.checks.get(&check.id).copied().unwrap_or(0.0);
    let most = if all > 0.0 { worth * own / all } else { 0.0 };
    let passed = check.verdict == Verdict::Pass;
    let output = if passed {
        check.expected.clone()
    } else {
        format!("expected: {}\n{}: {}", check.expected, check.verdict, check.observed)
    };
    json!({
        "name": format!("{}: {}", rule.template.exercise.id, check.id),
        "score": if passed { rounded(most) } else { 0.0 },
        "max_score": rounded(most),
        "status": if passed { "passed" } else { "failed" },
        "output": output,
        "visibility": if rule.hidden { "hidden" } else { "visible" },
    })
}

fn words(record: &Record, marks: Option<&Marks>) -> String {
    let mut lines: Vec<String> = record.why.iter().chain(&record.compiler).cloned().collect();
    if !record.borrowed().is_empty() {
        lines.push(not_their_own(record.borrowed()));
    }
    match marks {
        None => lines.push("the lab could not run: there are no marks yet".into()),
        Some(Marks { late: Some(late), .. }) => {
            lines.push(format!("{} days late: {} % off", late.days, points(late.percent)));
        }
        Some(_) => {}
    }
    lines.join("\n")
}
