//! `netlab validate`: shows what a file describes, or everything that is wrong with it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    class::course::Course,
    exercise::{self, Template, model::Exercise},
    printable::visible,
    topology::{Plan, Topology},
    workspace::{MANIFEST, Manifest},
    yaml::{Document, Problems},
};
use serde_json::{Value, json};

use crate::ui;

/// Check topology, exercise, course and workspace files: show what each describes, or everything wrong with it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The files, e.g. topology/lab.yaml, exercises/5.yaml or course/course.yaml.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print JSON: an array with {"file","valid","segments","hosts","problems"} for a topology,
    /// {"file","valid","exercise","title","steps","checks":[ids],"problems"} for an exercise,
    /// {"file","valid","course","points","sections":[ids],"problems"} for a course, and
    /// {"file","valid","programs":[names],"problems"} for a workspace's netlab.yaml.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let results: Vec<_> = self.files.iter().map(|file| (file, read(file))).collect();
        if self.json {
            let rows: Vec<_> = results.iter().map(|(file, result)| row(file, result)).collect();
            println!("{}", json!(rows));
        }
        let mut code = ExitCode::SUCCESS;
        for (file, result) in results {
            match result {
                Ok(made) if !self.json => show(file, &made),
                Ok(_) => {}
                Err(error) if self.json => code = error.kind.exit_code().into(),
                Err(error) => code = ui::fail(&error.into()),
            }
        }
        Ok(code)
    }
}

/// What a file describes.
enum Kind {
    /// A lab's plan, made as if no subnet were taken.
    Lab(Plan),
    Exercise(Box<Template>),
    Course(Box<Course>),
    Workspace(Manifest),
}

/// Reads a file. Its kind follows from the keys that only one kind has; a workspace's from its file name.
fn read(file: &Path) -> netlab::Result<Kind> {
    let document = Document::read(file)?;
    if document.has("steps") || document.has("checks") {
        return Ok(Kind::Exercise(Box::new(exercise::from_document(&document)?)));
    }
    if file.file_name() == Some(MANIFEST.as_ref()) {
        return Manifest::checked(&document).map(Kind::Workspace);
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    if Course::KEYS.iter().any(|key| document.has(key)) && !document.has("hosts") {
        return Ok(Kind::Course(Box::new(Course::from_document(&document, folder)?)));
    }
    Topology::from_document(document, folder)?.plan("lab", &[]).map(Kind::Lab)
}

fn show(file: &Path, made: &Kind) {
    let file = visible(&file.to_string_lossy());
    let plan = match made {
        Kind::Lab(plan) => plan,
        Kind::Exercise(template) => {
            let Exercise { id, title, steps, checks, .. } = &template.exercise;
            let (steps, checks) = (count(steps.len(), "step"), count(checks.len(), "check"));
            return println!("{}: exercise {}, {}: {steps}, {checks}", file, visible(id), visible(title));
        }
        Kind::Course(course) => {
            let (sections, points) = (count(course.sections.len(), "section"), course.points);
            return println!("{}: course {}: {sections}, {points} points", file, visible(&course.title));
        }
        Kind::Workspace(manifest) => {
            let programs: Vec<_> = manifest.programs().into_keys().collect();
            return println!("{}: workspace with {}", file, programs.join(", "));
        }
    };
    let hosts = count(plan.hosts.len(), "host");
    println!("{}: {hosts} on {}", file, count(plan.segments.len(), "segment"));
    let subnets = plan.segments.iter().map(|s| (&s.name, s.subnet.to_string()));
    let addresses = plan.hosts.iter().map(|h| {
        let addresses: Vec<_> = h.links.iter().map(|l| l.address.to_string()).collect();
        (&h.name, addresses.join(", "))
    });
    let rows: Vec<_> = subnets.chain(addresses).collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, addresses) in rows {
        println!("  {name:width$}  {addresses}");
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn row(file: &Path, result: &netlab::Result<Kind>) -> Value {
    // A path need not be UTF-8; JSON is.
    let file = file.to_string_lossy();
    let problems = match result {
        Ok(Kind::Lab(plan)) => {
            return json!({"file": file, "valid": true, "segments": plan.segments, "hosts": plan.hosts,
                "problems": []});
        }
        Ok(Kind::Exercise(template)) => {
            let exercise = &template.exercise;
            let checks: Vec<_> = exercise.checks.iter().map(|c| &c.id).collect();
            return json!({"file": file, "valid": true, "exercise": exercise.id, "title": exercise.title,
                "steps": exercise.steps.len(), "checks": checks, "problems": []});
        }
        Ok(Kind::Course(course)) => {
            let sections: Vec<_> = course.sections.iter().map(|rule| &rule.template.exercise.id).collect();
            return json!({"file": file, "valid": true, "course": course.title, "points": course.points,
                "sections": sections, "problems": []});
        }
        Ok(Kind::Workspace(manifest)) => {
            let programs: Vec<_> = manifest.programs().into_keys().collect();
            return json!({"file": file, "valid": true, "programs": programs, "problems": []});
        }
        // A file that cannot be read has no line to point to.
        Err(error) => match Problems::of(error) {
            Some(problems) => problems.to_json(),
            None => {
                json!([{"file": file, "line": null, "column": null, "path": "", "message": error.with_causes(),
                "expected": null, "suggestion": error.hint}])
            }
        },
    };
    json!({"file": file, "valid": false, "segments": [], "hosts": [], "problems": problems})
}
