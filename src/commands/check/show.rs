//! The results of checking, for a person or a program.

use std::fmt::Write;

use anyhow::Result;
use netlab::{
    check::{Progress, Report, Section},
    judge::{CheckResult, Verdict},
    printable::{printable, visible},
    timeline::What,
};

use crate::{
    commands::exercise::{evidence, mark, style},
    ui,
};

/// How to show it.
#[derive(Clone, Copy)]
pub struct Show {
    pub json: bool,
    /// How many hints to give for a check that failed.
    pub hints: usize,
}

impl Show {
    /// Reports progress on stderr.
    pub fn news(self, news: &Progress<'_>) {
        match news {
            _ if self.json => {}
            Progress::Building(command) => eprintln!("compiling: {}", visible(command)),
            Progress::Section(template, command) => {
                let exercise = &template.exercise;
                eprintln!("section {}, {}: {}", exercise.id, visible(&exercise.title), visible(command));
            }
            Progress::Event(_, event) => {
                if let What::Say { text } = &event.what {
                    eprintln!("  {}", visible(text));
                }
            }
        }
    }

    /// Shows the whole report on stdout.
    pub fn report(self, report: &Report) -> Result<()> {
        let text = if self.json { serde_json::to_string(report)? + "\n" } else { self.text(report) };
        ui::print(&text)?;
        Ok(())
    }

    fn text(self, report: &Report) -> String {
        let unbuilt = report.build.as_ref().and_then(netlab::check::Build::why_not);
        if let Some(why) = unbuilt {
            return format!("\n{} {}\n", mark(Verdict::Error), printable(&why));
        }
        if report.sections.is_empty() {
            return "no check of this section is about these programs\n".into();
        }
        let mut text = String::new();
        report.sections.iter().for_each(|section| self.section(section, &mut text));
        if report.sections.len() > 1 {
            let _ = write!(text, "\n{}", ui::table(["section", "verdict", "checks", "took"], rows(report)));
        }
        let (passed, all) = report.passed();
        let _ = writeln!(text, "\n{} {passed} of {all} checks pass", mark(report.verdict));
        if let Some(page) = &report.page {
            let _ = writeln!(text, "report: {}", visible(&page.to_string_lossy()));
        }
        text
    }

    fn section(self, section: &Section, text: &mut String) {
        let title = style().paint("1", &format!("{}. {}", section.exercise, section.title));
        let _ = writeln!(text, "\n{title}");
        let mut before: Option<&CheckResult> = None;
        for check in &section.checks {
            self.check(check, before, text);
            if check.verdict != Verdict::Pass {
                before = Some(check);
            }
        }
        for (name, what) in &section.borrowed {
            let _ = writeln!(text, "note: what ran as {name} is not your own program: {what}");
        }
        for run in &section.runs {
            let _ = writeln!(text, "report: {}", visible(&run.report.to_string_lossy()));
        }
    }

    /// Writes a check; `before` is the last one before it that did not pass either.
    fn check(self, check: &CheckResult, before: Option<&CheckResult>, text: &mut String) {
        let _ = writeln!(text, "{} {}: {}", mark(check.verdict), check.id, visible(&check.expected));
        if check.verdict == Verdict::Pass {
            return;
        }
        *text += &evidence(check);
        by_hand(check, before, text);
        if check.verdict != Verdict::Fail {
            return;
        }
        for hint in check.hints.iter().take(self.hints) {
            let _ = writeln!(text, "      hint: {hint}");
        }
        match check.hints.len() {
            n if n > self.hints => {
                let _ = writeln!(text, "      `{}` gives a hint", vec!["--hint"; self.hints + 1].join(" "));
            }
            _ => {}
        }
    }
}

/// Writes the commands that show the same by hand, or refers to `before` if that has the same ones.
fn by_hand(check: &CheckResult, before: Option<&CheckResult>, text: &mut String) {
    match before.filter(|before| before.by_hand == check.by_hand && !check.by_hand.is_empty()) {
        Some(before) => {
            let _ = writeln!(text, "      by hand: as for {}", before.id);
        }
        None => {
            for (n, command) in check.by_hand.iter().enumerate() {
                let label = if n == 0 { "by hand: " } else { "         " };
                let _ = writeln!(text, "      {label}{}", visible(command));
            }
        }
    }
}

/// One row per section.
fn rows(report: &Report) -> impl Iterator<Item = [String; 4]> {
    report.sections.iter().map(|section: &Section| {
        [
            section.exercise.clone(),
            section.verdict.to_string(),
            format!("{} of {}", section.passed(), section.checks.len()),
            format!("{} ms", section.elapsed_ms),
        ]
    })
}
