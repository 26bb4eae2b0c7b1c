//! What came of checking, for a person or a program.

use std::fmt::Write;

use anyhow::Result;
use netlab::{
    check::{Progress, Report, Section},
    judge::{CheckResult, Verdict},
    printable::{printable, visible},
    report::in_lab,
    timeline::What,
};

use crate::{
    commands::exercise::{evidence, mark, style},
    ui,
};

/// How to show it.
#[derive(Clone, Copy)]
pub struct Show<'l> {
    /// The lab that the programs run on.
    pub lab: &'l str,
    pub json: bool,
    /// How many hints to give for a check that failed.
    pub hints: usize,
}

impl Show<'_> {
    /// Tells what is being done, on stderr.
    pub fn news(self, news: &Progress<'_>) {
        match news {
            _ if self.json => {}
            Progress::Building(command) => eprintln!("compiling: {}", visible(command)),
            Progress::Section(template, command) => {
                let exercise = &template.exercise;
                eprintln!("section {}, {}: {}", exercise.id, visible(&exercise.title), visible(command));
            }
            Progress::Event(event) => {
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
        let mut text = String::new();
        for section in &report.sections {
            let title = style().paint("1", &format!("{}. {}", section.exercise, section.title));
            let _ = writeln!(text, "\n{title}");
            section.checks.iter().for_each(|check| self.check(check, &mut text));
            for (name, what) in &section.borrowed {
                let _ = writeln!(text, "note: what ran as {name} is not your own program: {what}");
            }
            for run in &section.runs {
                let _ = writeln!(text, "report: {}", visible(&run.report.to_string_lossy()));
            }
        }
        if let [section] = report.sections.as_slice() {
            let of = section.checks.len();
            let _ = writeln!(text, "\n{} {} of {of} checks pass", mark(section.verdict), passed(section));
        }
        if report.sections.is_empty() {
            text += "no check of this section is about these programs\n";
        }
        if report.sections.len() > 1 {
            let _ = write!(text, "\n{}", ui::table(["section", "verdict", "checks", "took"], rows(report)));
        }
        text
    }

    fn check(self, check: &CheckResult, text: &mut String) {
        let _ = writeln!(text, "{} {}: {}", mark(check.verdict), check.id, visible(&check.expected));
        if check.verdict == Verdict::Pass {
            return;
        }
        *text += &evidence(check);
        for command in &check.by_hand {
            let _ = writeln!(text, "      by hand: {}", visible(&in_lab(command, self.lab)));
        }
        if check.verdict != Verdict::Fail {
            return;
        }
        for hint in check.hints.iter().take(self.hints) {
            let _ = writeln!(text, "      hint: {hint}");
        }
        match check.hints.len() {
            n if n > self.hints => {
                let _ = writeln!(text, "      {} gives a hint", vec!["--hint"; self.hints + 1].join(" "));
            }
            _ => {}
        }
    }
}

fn passed(section: &Section) -> usize {
    section.checks.iter().filter(|c| c.verdict == Verdict::Pass).count()
}

/// A line a section.
fn rows(report: &Report) -> impl Iterator<Item = [String; 4]> {
    report.sections.iter().map(|section: &Section| {
        [
            section.exercise.clone(),
            section.verdict.to_string(),
            format!("{} of {}", passed(section), section.checks.len()),
            format!("{} ms", section.elapsed_ms),
        ]
    })
}
