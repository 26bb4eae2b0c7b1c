//! `netlab grade`: replays the submissions of a class, and gives marks.

use std::{
    num::NonZero,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::available_parallelism,
};

use anyhow::Result;
use netlab::{
    class::{
        course::Course,
        grade::{
            self, Marks, Progress, Record, Rejudged, Settings, Status,
            report::{Grades, points},
        },
        similarity::{self, Alike, Given, Span, Work},
        submission::Class,
    },
    printable::visible,
    runtime::{self, Runtime, RuntimeKind, Step},
    workspace,
};

use super::lab::{Choice, block_on_threads, interrupted};
use crate::ui;

/// Grade a class: replay every submission from its sources in a lab of its own.
///
/// Evidence inside a submission is ignored. A program that hangs, multiplies or fills the disk affects no
/// other submission. Grading can be interrupted at any time and continues where it stopped: a submission
/// is graded again only if its sources or the course's rules have changed.
///
/// Writes grades.html, grades.csv, grades.xml (JUnit) and grades.json, and a folder for each student with
/// results.json (Gradescope) and the runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The submissions: a folder of archives or of students' folders, or Moodle's zip of them.
    #[arg(value_name = "FOLDER")]
    class: PathBuf,
    /// The course file: points, deadlines and limits.
    #[arg(long, value_name = "FILE")]
    course: Option<PathBuf>,
    /// How many submissions to replay at a time [default: the number of cores].
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// The folder for the grades.
    #[arg(long, value_name = "DIR", default_value = "grades")]
    out: PathBuf,
    /// Grade nothing; only show submissions that share large parts with one another or with netlab's own
    /// programs.
    #[arg(long)]
    compare: bool,
    /// Show two submissions if they share at least this much of the smaller one, in percent.
    #[arg(long = "alike", value_name = "PERCENT", default_value_t = 60, value_parser = clap::value_parser!(u8).range(1..=100))]
    least: u8,
    /// Judge the runs of the last grading again by the current rules, without a lab, and report whose marks
    /// changed.
    #[arg(long, conflicts_with = "compare")]
    rejudge: bool,
    /// Print JSON: {"course","runtime","students":[…],"alike":[…],"copies":[…],"common":[…]}; with --compare, only
    /// the last three.
    #[arg(long)]
    json: bool,
    /// What labs run on; `auto` is Docker if an engine answers, otherwise namespaces.
    #[arg(long, value_name = "KIND", env = "NETLAB_RUNTIME", default_value = "auto")]
    runtime: Choice,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let course = Arc::new(Course::load(self.course.as_deref())?);
        let class = Class::open(&self.class, &self.out)?;
        for name in &class.skipped {
            eprintln!("{name} is not a submission and is skipped");
        }
        let alike = self.alike(&class, &course)?;
        if self.compare {
            let text = if self.json { alike.to_json().to_string() + "\n" } else { alike_in_words(&alike) };
            ui::print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.rejudge {
            return self.rejudge(&class, &course, &alike);
        }
        block_on_threads(async {
            let runtime = Arc::from(runtime::choose(self.runtime.kind()).await?.runtime);
            let records = self.grade(&class, &course, &runtime).await?;
            self.conclude(&Grades::new(&course, runtime.kind(), &records, &alike), &records, &alike)
        })
    }

    /// Writes the grades and shows them.
    fn conclude(&self, grades: &Grades<'_>, records: &[Record], alike: &Alike) -> Result<ExitCode> {
        let files = grades.write(&self.out)?;
        let text = if self.json {
            grades.to_json().to_string() + "\n"
        } else {
            let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            in_words(grades) + &alike_in_words(alike) + &format!("\n{}\n", names.join("\n"))
        };
        ui::print(&text)?;
        let unknown = records.iter().any(|record| record.status == Status::Error);
        Ok(if unknown { ExitCode::from(3) } else { ExitCode::SUCCESS })
    }

    /// Judges graded runs again, and reports whose marks changed.
    fn rejudge(&self, class: &Class, course: &Course, alike: &Alike) -> Result<ExitCode> {
        let out = std::path::absolute(&self.out)?;
        let _turn = grade::turn(&out)?;
        let mut records = Vec::new();
        let mut runtime = None;
        for submission in &class.submissions {
            let Some(again) = grade::rejudge(submission, course, &out)? else {
                eprintln!("{}: never graded, skipped", submission.student);
                continue;
            };
            eprint!("{}", what_changed(&again));
            runtime = runtime.or(again.runtime);
            records.push(again.record);
        }
        let runtime = runtime.unwrap_or(RuntimeKind::Namespaces);
        self.conclude(&Grades::new(course, runtime, &records, alike), &records, alike)
    }

    async fn grade(
        &self,
        class: &Class,
        course: &Arc<Course>,
        runtime: &Arc<dyn Runtime>,
    ) -> Result<Vec<Record>> {
        let cores = || available_parallelism().map_or(1, NonZero::get);
        let jobs = self.jobs.map_or_else(cores, NonZero::get);
        let settings = Settings { course: course.clone(), runtime: runtime.clone(), out: &self.out, jobs };
        let progress = ui::Progress::new();
        let (done, total) = (AtomicU64::new(0), class.submissions.len() as u64);
        let tell = |news: Progress<'_>| {
            let what = match news {
                Progress::Begun(submission) => format!("replaying {}", submission.student),
                Progress::Kept(record) => format!("{}: unchanged", record.student),
                Progress::Done(record) => format!("{}: {}", record.student, record.status.word()),
                Progress::Left(error) => error.to_string(),
            };
            let finished = u64::from(matches!(news, Progress::Kept(_) | Progress::Done(_)));
            let done = done.fetch_add(finished, Ordering::Relaxed) + finished;
            progress.step(Step { what, done, total: Some(total), ..Step::default() });
        };
        let graded = grade::grade(class, &settings, interrupted(), &tell).await;
        drop(progress);
        Ok(graded.map_err(|error| match error.kind {
            netlab::Kind::Interrupted => {
                error.hint("finished submissions are kept: the same command continues from here")
            }
            _ => error,
        })?)
    }

    fn alike(&self, class: &Class, course: &Course) -> Result<Alike> {
        let given = given(course)?;
        let mut works = Vec::new();
        for submission in &class.submissions {
            // A submission that cannot be opened is reported when it is graded.
            if let Ok(sources) = submission.open() {
                works.push(Work::read(&submission.student, sources.path(), &given)?);
            }
        }
        Ok(similarity::compare(works, &given, f64::from(self.least) / 100.0))
    }
}

/// Returns the code that students were given: the course's own starter, and that of `netlab init`.
fn given(course: &Course) -> Result<Given> {
    let folder = tempfile::tempdir()?;
    workspace::lay_out(folder.path())?;
    let mut given = Given::default();
    given.add(folder.path())?;
    course.starter.as_deref().map_or(Ok(()), |starter| given.add(starter))?;
    Ok(given)
}

/// Describes how and why a submission's marks changed, one line each; empty if they did not.
fn what_changed(again: &Rejudged) -> String {
    let student = &again.record.student;
    if let Some(why) = &again.why_not {
        return format!("{student}: unchanged, because {}\n", visible(why));
    }
    let worth = |marks: &Option<Marks>| marks.as_ref().map_or("no".into(), |marks| points(marks.points));
    let (was, is) = (worth(&again.marks.0), worth(&again.marks.1));
    if was == is && again.changes.is_empty() {
        return String::new();
    }
    let changes = again.changes.iter().map(|change| format!("  {}\n", visible(change)));
    format!("{student}: {is} points instead of {was}\n") + &changes.collect::<String>()
}

fn in_words(grades: &Grades<'_>) -> String {
    let rows = grades.students.iter().map(|(record, marks)| {
        let given =
            marks.as_ref().map_or("–".into(), |m| format!("{} of {}", points(m.points), points(m.of)));
        let shares = marks.iter().flat_map(|m| grades.course.sections.iter().zip(&m.shares));
        let sections =
            shares.map(|(rule, share)| format!("{}: {:.0} %", rule.template.exercise.id, share * 100.0));
        let late = marks.as_ref().and_then(|m| m.late).map(|late| format!("{} days late", late.days));
        let why = record.why.as_deref().and_then(|why| why.lines().next()).map(str::to_owned);
        let rest: Vec<String> = match record.status {
            Status::Graded if record.compiler.is_some() => {
                ["did not compile".into()].into_iter().chain(late).collect()
            }
            Status::Graded => sections.chain(late).chain(why).collect(),
            _ => why.into_iter().collect(),
        };
        let borrowed: Vec<&str> = record.borrowed().into_iter().map(String::as_str).collect();
        [record.student.clone(), record.status.word().into(), given, borrowed.join(", "), rest.join(", ")]
    });
    ui::table(["student", "status", "points", "not their own", "sections"], rows)
}

fn alike_in_words(alike: &Alike) -> String {
    let mut text = String::new();
    let lines = |span: &Span| visible(&format!("{}:{}-{}", span.file.display(), span.from, span.to));
    for pair in &alike.pairs {
        text += &format!("\n{:.0} % shared: {} and {}\n", pair.share * 100.0, pair.a, pair.b);
        for place in &pair.places {
            text += &format!("  {} and {}\n", lines(&place.a), lines(&place.b));
        }
    }
    if alike.more > 0 {
        text += &format!("\nand {} more pairs that share less\n", alike.more);
    }
    for copy in &alike.copies {
        text += &format!("\n{} have the same file, apart from names:\n", copy.by.len());
        for (who, file) in &copy.by {
            text += &format!("  {who}: {}\n", visible(&file.to_string_lossy()));
        }
    }
    if !alike.common.is_empty() {
        text += "\nnot compared, because more than half of the class has the same:\n";
        for common in &alike.common {
            text += &format!("  {:.0} % of {}\n", common.share * 100.0, common.who);
        }
    }
    if !alike.cut.is_empty() {
        text += &format!("\ntoo long, so only the beginning was compared: {}\n", alike.cut.join(", "));
    }
    text
}
