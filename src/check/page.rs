//! One page that joins the sections of a check, linking each check to its moment in the run's own page.

use std::path::{Path, PathBuf};

use maud::{Markup, html};

use super::{Report, Section};
use crate::{
    Result,
    exercise::Origin,
    judge::{CheckResult, Verdict},
    printable::visible,
    report::html::{badge, check_id, page, seconds},
    run::Folder,
};

/// Writes the page into a new folder beside the runs' folders; returns its path.
pub fn write(report: &Report, origin: &Origin, captures: &Path) -> Result<PathBuf> {
    let folder = Folder::create(captures, "all")?;
    let file = folder.artifacts().report;
    folder.write(&file, render(report, origin).as_bytes())?;
    Ok(file)
}

fn render(report: &Report, origin: &Origin) -> String {
    let (passed, all) = report.passed();
    let title = format!("{passed} of {all} checks pass");
    let body = html! {
        header {
            p.eyebrow { "All sections" }
            h1 { (title) }
            p.summary {
                (badge(report.verdict)) " "
                @if let Some(by) = &origin.by { span { "run by " (visible(by)) } }
                @if let Some(line) = &origin.command { span { "with " code { (visible(line)) } } }
                span { "took " (seconds(report.elapsed_ms)) }
            }
            nav aria-label="sections" {
                table.sections {
                    thead { tr { th scope="col" { "Section" } th scope="col" { "Verdict" } th scope="col" { "Checks" } th scope="col" { "Took" } } }
                    tbody { @for section in &report.sections { (line(section)) } }
                }
            }
        }
        main { @for section in &report.sections { (checks(section)) } }
    };
    page(&title, &body)
}

/// A row of the table that links to the sections.
fn line(section: &Section) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "#section-" (section.exercise) } { (section.exercise) ". " (section.title) } }
            td { (badge(section.verdict)) }
            td { (section.passed()) " of " (section.checks.len()) }
            td { (seconds(section.elapsed_ms)) }
        }
    }
}

fn checks(section: &Section) -> Markup {
    html! {
        section id={ "section-" (section.exercise) } {
            h2 { (section.exercise) ". " (section.title) }
            p.summary {
                (badge(section.verdict)) " "
                @for (n, run) in section.runs.iter().enumerate() {
                    a href=(beside(&run.report)) { @if section.runs.len() > 1 { "run " (n + 1) } @else { "the run" } }
                }
                a href="#" { "all sections" }
            }
            table.checks {
                thead { tr { th scope="col" { "Verdict" } th scope="col" { "Expected" } th scope="col" { "Observed" } } }
                tbody { @for (n, check) in section.checks.iter().enumerate() { (row(section, n, check)) } }
            }
        }
    }
}

fn row(section: &Section, n: usize, check: &CheckResult) -> Markup {
    let run = section.run_of(n).map(|run| beside(&run.report));
    html! {
        tr {
            td { (badge(check.verdict)) }
            th scope="row" { span.expected { (check.expected) } code { (check.id) } }
            td {
                (visible(&check.observed))
                @if check.verdict != Verdict::Pass && let Some(run) = run {
                    p.places { "See " a href={ (run) "#" (check_id(&check.id)) } { "its moment in the run" } }
                }
            }
        }
    }
}

/// The relative link to a run's report from a folder beside the run's.
fn beside(report: &Path) -> String {
    let name = |path: Option<&Path>| {
        path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    };
    format!("../{}/{}", name(report.parent()), name(Some(report)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{exercise, judge::Outcome, report};

    /// A report of the run kept beside the tests, as if it had two sections.
    fn two_sections() -> Report {
        let run = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run");
        let mut report = Report::default();
        for (id, verdict) in [("2", Verdict::Pass), ("5", Verdict::Fail)] {
            let mut outcome: Outcome = report::read(run.as_ref()).unwrap().outcome;
            outcome.checks[0].verdict = verdict;
            let mut section = Section::new(&exercise::find(id, None).unwrap().exercise);
            section.add(outcome);
            report.add(section);
        }
        report
    }

    #[test]
    fn a_page_joins_the_sections_and_leads_to_each_failed_check() {
        let report = two_sections();
        let page =
            render(&report, &Origin { by: Some("alice".into()), command: Some("netlab check all".into()) });
        for wanted in [
            "<h1>19 of 20 checks pass</h1>",
            "run by alice",
            "<code>netlab check all</code>",
            "href=\"#section-5\"",
            "id=\"section-5\"",
            "href=\"../run/report.html#check-server-listens\"",
        ] {
            assert!(page.contains(wanted), "{wanted} is not in {page}");
        }
        assert_eq!(page.matches("its moment in the run").count(), 1, "passed checks need none");
    }
}
