//! Judges a class again from the records of its runs, without a lab: after a check, its wording or its weight has
//! changed.

use std::path::Path;

use super::{Marks, Record, SectionResult, Status};
use crate::{
    Result,
    check::Section,
    class::{
        course::{Course, Rule},
        submission::Submission,
    },
    judge,
    record::Record as Run,
    run::Folder,
    runtime::RuntimeKind,
};

/// One submission, judged again.
#[derive(Clone, Debug)]
pub struct Rejudged {
    /// The record as it is now; unchanged if it could not be judged again.
    pub record: Record,
    /// The marks before, by the same rules, and now.
    pub marks: (Option<Marks>, Option<Marks>),
    /// Checks with a different verdict, e.g. `2 client-ends: fail, was pass`.
    pub changes: Vec<String>,
    /// The runtime of its labs, if it was judged again.
    pub runtime: Option<RuntimeKind>,
    /// Why it could not be judged again, if so.
    pub why_not: Option<String>,
}

/// Judges a submission again. `out` is the folder of the grades. `None` if it was never graded.
pub fn rejudge(submission: &Submission, course: &Course, out: &Path) -> Result<Option<Rejudged>> {
    let folder = out.join(&submission.key);
    let Some(before) = Record::read(&folder) else { return Ok(None) };
    let was = Marks::of(&before, course);
    let sources = submission.open().and_then(|sources| sources.hash());
    let sections = match before.status {
        Status::Graded if !sources.is_ok_and(|sources| sources == before.sources) => {
            Err("its sources have changed since: grade it again".into())
        }
        Status::Graded if before.compiler.is_none() => again(&before, course, out, &folder),
        _ => Err(format!("it is {}", before.status.word())),
    };
    let (sections, runtime) = match sections {
        Ok((sections, runtime)) => (sections, runtime),
        Err(why) => {
            let why_not = (before.status != Status::Graded || before.compiler.is_none()).then_some(why);
            let marks = (was.clone(), was);
            return Ok(Some(Rejudged { marks, record: before, changes: Vec::new(), runtime: None, why_not }));
        }
    };
    let changes = sections.iter().flat_map(|section| changes(&before, section)).collect();
    let fingerprint = match runtime {
        Some(runtime) => super::fingerprint(&before.sources, course, runtime),
        None => before.fingerprint.clone(),
    };
    let record = Record { fingerprint, sections, ..before };
    record.write(&folder)?;
    Ok(Some(Rejudged { marks: (was, Marks::of(&record, course)), record, changes, runtime, why_not: None }))
}

/// Judges every section of the course from the recorded runs.
fn again(
    before: &Record,
    course: &Course,
    out: &Path,
    folder: &Path,
) -> Result<(Vec<SectionResult>, Option<RuntimeKind>), String> {
    let mut runtime = None;
    let mut section = |rule: &Rule| {
        let id = &rule.template.exercise.id;
        let old = before.sections.iter().find(|section| section.exercise == *id);
        let old = old.ok_or_else(|| format!("section {id} was not run"))?;
        if old.reports.is_empty() {
            return Ok(old.clone());
        }
        let mut found = Section::new(&rule.template.exercise);
        for report in &old.reports {
            let run = out.join(report);
            let judged = judge_run(rule, run.parent().unwrap_or(out), &mut found);
            runtime = Some(judged.map_err(|error| error.with_causes())?);
        }
        Ok(SectionResult::of(rule, Some(&found), folder, course.borrowed))
    };
    let sections = course.sections.iter().map(&mut section).collect::<Result<_, String>>()?;
    Ok((sections, runtime))
}

fn judge_run(rule: &Rule, run: &Path, found: &mut Section) -> Result<RuntimeKind> {
    let record = Run::read(run)?;
    found.add(judge::judge(&record.bind(&rule.template)?, &record, Folder::of(run)?.artifacts()));
    Ok(record.runtime)
}

fn changes(before: &Record, section: &SectionResult) -> Vec<String> {
    let old = before.sections.iter().find(|old| old.exercise == section.exercise);
    let change = |check: &judge::CheckResult| {
        let was = old.and_then(|old| old.checks.iter().find(|old| old.id == check.id)).map(|old| old.verdict);
        let what = format!("{} {}: {}", section.exercise, check.id, check.verdict);
        match was {
            Some(was) if was == check.verdict => None,
            Some(was) => Some(format!("{what}, was {was}")),
            None => Some(format!("{what}, new")),
        }
    };
    section.checks.iter().filter_map(change).collect()
}
