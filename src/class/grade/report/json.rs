//! The grades as JSON, printed by `netlab grade --json` and stored in `grades.json`.

use serde_json::{Value, json};

use super::{Grades, Marks, Record};
use crate::class::grade::SectionResult;

/// Returns the class as one object.
pub fn render(grades: &Grades<'_>) -> Value {
    let students = grades.students.iter().map(|(record, marks)| student(record, marks.as_ref()));
    let mut object = grades.alike.to_json();
    object["course"] = grades.course.title.clone().into();
    object["runtime"] = json!(grades.runtime);
    object["students"] = students.collect();
    object
}

fn student(record: &Record, marks: Option<&Marks>) -> Value {
    let sections = record.sections.iter().map(|section| {
        let checks = section.checks.iter().map(|check| {
            json!({"id": check.id, "verdict": check.verdict, "expected": check.expected, "observed": check.observed})
        });
        json!({
            "exercise": section.exercise,
            "verdict": section.verdict(),
            "checks": checks.collect::<Vec<_>>(),
            "reports": section.reports,
            "borrowed": borrowed(section),
        })
    });
    json!({
        "student": record.student,
        "number": record.number,
        "folder": record.key,
        "received": record.received,
        "status": record.status,
        "why": record.why,
        "compiler": record.compiler,
        "notes": record.notes,
        "borrowed": record.borrowed(),
        "points": marks.map(|m| m.points),
        "of": marks.map(|m| m.of),
        "shares": marks.map(|m| &m.shares),
        "late": marks.and_then(|m| m.late),
        "sections": sections.collect::<Vec<_>>(),
        "elapsed_ms": record.elapsed_ms,
    })
}

/// Returns the programs that are not the student's own, and what they are.
fn borrowed(section: &SectionResult) -> Vec<Value> {
    section.borrowed.iter().map(|(program, what)| json!({"program": program, "is": what})).collect()
}
