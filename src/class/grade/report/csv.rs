//! `grades.csv`: one line per student, for a spreadsheet or the learning platform (RFC 4180).

use super::{Grades, points};
use crate::printable::printable;

/// Returns the table, with a heading.
pub fn render(grades: &Grades<'_>) -> String {
    let rules = &grades.course.sections;
    let first = ["student", "number", "received", "days late", "status", "points", "of", "not their own"];
    let mut heading: Vec<Cell> = first.map(Cell::text).into();
    for rule in rules {
        let id = &rule.template.exercise.id;
        heading.push(Cell::text(format!("{id} %")));
        heading.extend(rule.checks.keys().map(|check| Cell::text(format!("{id}/{check}"))));
    }
    heading.push(Cell::text("why"));
    let mut text = line(&heading);
    for (record, marks) in &grades.students {
        let late = marks.as_ref().and_then(|m| m.late).map_or(0, |late| late.days);
        let received = record.received.map(|t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let borrowed: Vec<&str> = record.borrowed().into_iter().map(String::as_str).collect();
        let mut row = vec![
            Cell::text(&record.student),
            Cell::text(record.number.as_deref().unwrap_or_default()),
            Cell::text(received.unwrap_or_default()),
            Cell::Number(late.to_string()),
            Cell::text(record.status.word()),
            Cell::Number(marks.as_ref().map(|m| points(m.points)).unwrap_or_default()),
            Cell::Number(points(grades.course.points)),
            Cell::text(borrowed.join(", ")),
        ];
        for (n, rule) in rules.iter().enumerate() {
            let section = record.sections.iter().find(|s| s.exercise == rule.template.exercise.id);
            let share = marks.as_ref().map(|m| format!("{:.0}", m.shares[n] * 100.0));
            row.push(Cell::Number(share.unwrap_or_default()));
            row.extend(rule.checks.keys().map(|id| {
                let found = section.and_then(|s| s.checks.iter().find(|check| check.id == *id));
                Cell::text(found.map(|check| check.verdict.to_string()).unwrap_or_default())
            }));
        }
        row.push(Cell::text(record.why.as_deref().unwrap_or_default()));
        text += &line(&row);
    }
    text
}

fn line(cells: &[Cell]) -> String {
    cells.iter().map(Cell::written).collect::<Vec<_>>().join(",") + "\r\n"
}

/// The content of a cell.
enum Cell {
    Number(String),
    Text(String),
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns the cell as written. Text is always quoted, because the separator depends on the spreadsheet's language.
    fn written(&self) -> String {
        match self {
            Self::Number(number) => number.clone(),
            Self::Text(text) => format!("\"{}\"", without_formulas(&printable(text)).replace('"', "\"\"")),
        }
    }
}

/// Returns the text with formulas defused wherever a cell could begin, even for a program with another separator:
/// students choose the names of their files.
fn without_formulas(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins && "=+-@＝＋－＠".contains(c) {
            guarded.push('\'');
        }
        begins = matches!(c, ';' | ',' | '\n' | '|') || (begins && c.is_whitespace());
        guarded.push(c);
    }
    guarded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_breaks_the_line() {
        let written = |text: &str| Cell::text(text).written();
        assert_eq!(written("Gil Ana"), "\"Gil Ana\"");
        assert_eq!(written("=1+1"), "\"'=1+1\"");
        assert_eq!(written("  =1+1"), "\"  '=1+1\"");
        // An unusual space is escaped, so what follows does not begin a cell.
        assert_eq!(written(" \u{a0}=1+1"), "\" \\u{a0}=1+1\"");
        assert_eq!(written("Eve;=1+1;x"), "\"Eve;'=1+1;x\"");
        assert_eq!(written("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
        assert_eq!(written("a\u{202e}b\u{2028}c\rd"), "\"a\\u{202e}b\\u{2028}c\\rd\"");
        assert_eq!(Cell::Number("-1".into()).written(), "-1");
    }
}
