//! `grades.html`: a table of students and checks, with a link to each run's report.

use maud::{Markup, html};

use super::{Grades, Marks, Record, points};
use crate::{
    class::{
        grade::{SectionResult, Status},
        similarity::{Alike, Common, Copied, Pair, Span},
    },
    judge::Verdict,
    report::html::{badge, page, seconds, sign},
};

/// Returns the page of a class.
pub fn render(grades: &Grades<'_>) -> String {
    let body = html! {
        header {
            p.eyebrow { (grades.students.len()) " submissions, replayed on " (grades.runtime) }
            h1 { (grades.course.title) }
        }
        main {
            section aria-labelledby="grades" {
                h2 #grades { "Grades" }
                div.scroll { (table(grades)) }
                p { "The percentage says how much of a section passes, and the signs show which of its checks; the link leads to the report of the run." }
            }
            (alike(grades.alike))
            section aria-labelledby="details" {
                h2 #details { "Each submission" }
                @for (record, marks) in &grades.students { (details(record, marks.as_ref())) }
            }
        }
    };
    page(&grades.course.title, &body)
}

fn table(grades: &Grades<'_>) -> Markup {
    html! {
        table.grades {
            thead {
                tr {
                    th scope="col" { "Student" }
                    th scope="col" { "Points" }
                    th scope="col" { "Not their own" }
                    @for rule in &grades.course.sections {
                        th scope="col" title=(rule.template.exercise.title) {
                            (rule.template.exercise.id) @if rule.hidden { " (hidden)" }
                        }
                    }
                    th scope="col" { "Received" }
                }
            }
            tbody { @for (record, marks) in &grades.students { (row(grades, record, marks.as_ref())) } }
        }
    }
}

fn row(grades: &Grades<'_>, record: &Record, marks: Option<&Marks>) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "#" (record.key) } { (record.student) } }
            td {
                @match marks {
                    Some(marks) => { b { (points(marks.points)) } " of " (points(marks.of)) }
                    None => (badge(Verdict::Error)),
                }
                @if record.status == Status::Refused { br; b.fail { "refused" } }
                @if record.compiler.is_some() { br; b.fail { "did not compile" } }
            }
            td {
                @for what in record.borrowed() { b.fail { (what) } br; }
            }
            @for (n, rule) in grades.course.sections.iter().enumerate() {
                td { (cell(record, &rule.template.exercise.id, marks.map(|m| m.shares[n]))) }
            }
            td {
                @if let Some(received) = record.received {
                    (received.strftime("%Y-%m-%d")) br; (received.strftime("%H:%M UTC"))
                }
                @if let Some(late) = marks.and_then(|m| m.late) {
                    br; b { (late.days) " days late" }
                    @if late.percent > 0.0 { br; "−" (points(late.percent)) " %" }
                }
            }
        }
    }
}

fn cell(record: &Record, exercise: &str, share: Option<f64>) -> Markup {
    let Some(section) = record.sections.iter().find(|s| s.exercise == exercise) else {
        return html! { "–" };
    };
    let text = share.map_or("–".to_owned(), |share| format!("{:.0} %", share * 100.0));
    let verdict = section.verdict();
    html! {
        span class=(verdict) {
            @match section.reports.first() {
                Some(report) => { a href=(report.display()) { (text) } }
                None => (text),
            }
            span.hidden { " " (verdict) }
        }
        div.signs {
            @for check in &section.checks {
                span class=(check.verdict) title={ (check.id) ": " (check.verdict) } {
                    span aria-hidden="true" { (sign(check.verdict)) } span.hidden { (check.id) ": " (check.verdict) }
                }
            }
        }
    }
}

fn details(record: &Record, marks: Option<&Marks>) -> Markup {
    html! {
        details {
            summary {
                (record.student) ": "
                @match marks {
                    Some(marks) => { (points(marks.points)) " of " (points(marks.of)) }
                    None => "not graded",
                }
            }
            // The page opens the target of a link into it.
            p.summary #(record.key) {
                span { (record.status.word()) } span { "in " (seconds(record.elapsed_ms)) }
                @if let Some(number) = &record.number { span { "number " (number) } }
            }
            @for words in record.why.iter().chain(&record.compiler) { pre { (words) } }
            @for note in &record.notes { p { (note) } }
            @for section in &record.sections { (checks(section)) }
        }
    }
}

fn checks(section: &SectionResult) -> Markup {
    html! {
        h3 {
            (section.exercise) ": " (section.title)
            @for (n, report) in section.reports.iter().enumerate() {
                " " a href=(report.display()) { "report" @if n > 0 { " " (n + 1) } }
            }
        }
        table.checks {
            tbody {
                @for check in &section.checks {
                    tr {
                        td { (badge(check.verdict)) }
                        th scope="row" { span.expected { (check.expected) } code { (check.id) } }
                        td { @if check.verdict != Verdict::Pass { (check.observed) } }
                    }
                }
            }
        }
    }
}

/// Submissions to look at side by side.
fn alike(alike: &Alike) -> Markup {
    let Alike { pairs, copies, common, cut, more } = alike;
    html! {
        @if !pairs.is_empty() || !copies.is_empty() || !common.is_empty() || !cut.is_empty() {
            section aria-labelledby="alike" {
                h2 #alike { "Alike" }
                p { "These share large parts, apart from names. That is a reason to look, not a proof." }
                @if !pairs.is_empty() { (table_of_pairs(pairs)) }
                @if *more > 0 { p { "And " (more) " more pairs that share less." } }
                @for copy in copies { (whole_file(copy)) }
                @if !common.is_empty() { (not_compared(common)) }
                @if !cut.is_empty() { p { "Too long, so only the beginning was compared: " (cut.join(", ")) } }
            }
        }
    }
}

fn table_of_pairs(pairs: &[Pair]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Share" } th scope="col" { "Who" } th scope="col" { "Where" } } }
            tbody {
                @for pair in pairs {
                    tr {
                        td { (format!("{:.0} %", pair.share * 100.0)) }
                        th scope="row" { (pair.a) " and " (pair.b) }
                        td { @for place in &pair.places { (lines(&place.a)) " and " (lines(&place.b)) br; } }
                    }
                }
            }
        }
    }
}

fn whole_file(copy: &Copied) -> Markup {
    html! {
        p {
            (copy.by.len()) " have the same file: "
            @for (n, (who, file)) in copy.by.iter().enumerate() {
                @if n > 0 { ", " } b { (who) } " " (file.display())
            }
        }
    }
}

fn not_compared(common: &[Common]) -> Markup {
    html! {
        p {
            "Not compared, because more than half of the class has the same: "
            @for (n, common) in common.iter().enumerate() {
                @if n > 0 { ", " } (format!("{:.0} %", common.share * 100.0)) " of " (common.who)
            }
        }
    }
}

fn lines(span: &Span) -> String {
    format!("{}:{}–{}", span.file.display(), span.from, span.to)
}
