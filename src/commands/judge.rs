//! `netlab judge`: judges a run again from its record, without a lab.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use netlab::{
    Error,
    class::{
        course::{Course, Rule},
        grade::share_of_run,
    },
    exercise::model::Exercise,
    judge::{self, Outcome},
    printable::visible,
    record::Record,
    report,
    run::{Folder, newest},
};

use super::exercise::{mark, sum_up, to_json};

/// Judge a recorded run again, without a lab, e.g. after a check has changed.
///
/// The run is judged by the exercise as it is now. Checks with a different verdict are listed.
/// An exercise that no longer exists is used as it was when it ran.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder or its record.json.gz; by default, the newest run.
    #[arg(value_name = "DIR")]
    run: Option<PathBuf>,
    /// A folder with your own exercises; a file with the name of a built-in exercise replaces it.
    #[arg(long, value_name = "DIR", env = "NETLAB_EXERCISES")]
    exercises: Option<PathBuf>,
    /// Judge by this course's exercises, and say what the run is worth in its section.
    #[arg(long, value_name = "FILE", conflicts_with = "exercises")]
    course: Option<PathBuf>,
    /// Also rebuild the run's report and evidence.
    #[arg(long)]
    save: bool,
    /// Where to look for the newest run.
    #[arg(long, value_name = "DIR", default_value = "captures")]
    captures: PathBuf,
    /// Also print the answer to the section's question, and the evidence for it.
    #[arg(long)]
    explain: bool,
    /// Print one JSON object on stdout and nothing else there.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let run = self.run.clone().map_or_else(|| newest(&self.captures), Ok)?;
        let mut record = Record::read(&run)?;
        let folder = Folder::of(if run.is_dir() { &run } else { run.parent().unwrap_or(&run) })?;
        let course = self.course.as_deref().map(|file| Course::load(Some(file))).transpose()?;
        let rule = course.as_ref().map(|course| rule(course, &record)).transpose()?;
        let exercise = match rule {
            Some(rule) => record.bind(&rule.template)?,
            None => record.exercise_now(self.exercises.as_deref())?,
        };
        let outcome = judge::judge(&exercise, &record, folder.artifacts());
        let share = course.as_ref().zip(rule);
        let share = share.map(|(course, rule)| share_of_run(rule, outcome.clone(), course.borrowed));
        if self.json {
            let mut json = to_json(&outcome);
            if let Some(share) = share {
                json["share"] = share.into();
            }
            println!("{json}");
        } else {
            let before = judge::judge(&record.exercise, &record, folder.artifacts());
            self.show(&exercise, &before, &outcome, usize::from(record.judged.is_none()));
            if let Some(share) = share {
                println!("\n{:.0} % of section {} in this course", share * 100.0, visible(&exercise.id));
            }
        }
        if self.save {
            record.exercise = exercise;
            report::write(&report::Evidence::new(&record, &outcome), &folder)?;
        }
        Ok(ExitCode::from(outcome.verdict.exit_code()))
    }

    /// Shows the outcome, and which verdicts have changed. `hints` is 0 where the user's own program was judged:
    /// `netlab check --hint` gives those.
    fn show(&self, exercise: &Exercise, before: &Outcome, outcome: &Outcome, hints: usize) {
        sum_up(&exercise.explain, outcome, self.explain, hints);
        for check in &outcome.checks {
            match before.checks.iter().find(|old| old.id == check.id) {
                Some(old) if old.verdict == check.verdict => {}
                Some(old) => {
                    println!("{} {}: it was {}", mark(check.verdict), visible(&check.id), old.verdict);
                }
                None => println!("{} {}: it is new", mark(check.verdict), visible(&check.id)),
            }
        }
    }
}

/// Finds a course's rule for the exercise of a run.
fn rule<'c>(course: &'c Course, record: &Record) -> netlab::Result<&'c Rule> {
    let id = &record.exercise.id;
    course.sections.iter().find(|rule| rule.template.exercise.id == *id).ok_or_else(|| {
        let ids: Vec<_> = course.sections.iter().map(|rule| rule.template.exercise.id.as_str()).collect();
        Error::usage(format!("exercise {} does not count in this course", visible(id)))
            .hint(format!("its sections are {}", ids.join(", ")))
    })
}
