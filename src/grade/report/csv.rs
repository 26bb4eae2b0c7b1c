//! `grades.csv`: a line a student, for a spreadsheet or the learning platform (RFC 4180).

use super::{Grades, points};

/// The table, with a heading.
pub fn render(grades: &Grades<'_>) -> String {
    let rules = &grades.course.sections;
    let mut heading: Vec<String> =
        ["student", "number", "received", "days late", "status", "points", "of"].map(Into::into).into();
    for rule in rules {
        let id = &rule.template.exercise.id;
        heading.push(format!("{id} %"));
        heading.extend(rule.checks.keys().map(|check| format!("{id}/{check}")));
    }
    heading.push("why".into());
    let mut text = line(&heading);
    for (record, marks) in &grades.students {
        let late = marks.as_ref().and_then(|m| m.late).map_or(0, |late| late.days);
        let mut row = vec![
            record.student.clone(),
            record.number.clone().unwrap_or_default(),
            record.received.map(|t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default(),
            late.to_string(),
            record.status.word().into(),
            marks.as_ref().map(|m| points(m.points)).unwrap_or_default(),
            points(grades.course.points),
        ];
        for (n, rule) in rules.iter().enumerate() {
            let section = record.sections.iter().find(|s| s.exercise == rule.template.exercise.id);
            row.push(marks.as_ref().map(|m| format!("{:.0}", m.shares[n] * 100.0)).unwrap_or_default());
            row.extend(rule.checks.keys().map(|id| {
                let found = section.and_then(|s| s.checks.iter().find(|check| check.id == *id));
                found.map(|check| check.verdict.to_string()).unwrap_or_default()
            }));
        }
        row.push(record.why.clone().unwrap_or_default());
        text += &line(&row);
    }
    text
}

fn line(cells: &[String]) -> String {
    cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A cell. A spreadsheet takes what begins so for a formula, and a student chooses the name of a file.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !cell.contains([',', '"', '\n', '\r']) {
        return cell.to_owned();
    }
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn no_cell_is_a_formula_or_breaks_the_line() {
        assert_eq!(quoted("Gil Ana"), "Gil Ana");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
    }
}
