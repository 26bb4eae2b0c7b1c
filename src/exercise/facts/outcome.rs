//! Facts about what a program printed, and how it ended.

use super::{Fact, Finding};
use crate::{
    exercise::{
        model::{Count, Ended, Outcome},
        scene::{Program, Scene},
    },
    runtime::ExitStatus,
    signals,
};

impl Fact for Outcome {
    fn find(&self, scene: &Scene) -> Finding {
        let Some(program) = scene.programs.get(&self.name) else {
            return Finding {
                holds: false,
                observed: format!("{} was never started", self.name),
                evidence: Vec::new(),
            };
        };
        let mut holds = true;
        let mut observed = Vec::new();
        if let Some(text) = &self.prints {
            let n = program.printed.lines().filter(|line| line.contains(text)).count() as u64;
            holds &= self.lines.unwrap_or(Count::SOME).admits(n);
            observed.push(format!(
                "{} {}printed \"{text}\"",
                program.host,
                if n == 0 { "never " } else { "" }
            ));
        }
        if let Some(ended) = &self.ended {
            holds &= has_ended(program, ended);
            let how = program.ended.map_or("still running".to_owned(), |status| status.to_string());
            observed.push(format!("`{}` on {}: {how}", program.command, program.host));
        }
        let evidence = program.printed.lines().map(str::to_owned).collect();
        Finding { holds, observed: observed.join("; "), evidence }
    }

    fn is_lost(&self, scene: &Scene) -> bool {
        let is_over = |p: &Program| p.ended.is_some() && p.silent;
        scene.programs.get(&self.name).is_some_and(is_over) && !self.find(scene).holds
    }
}

fn has_ended(program: &Program, wanted: &Ended) -> bool {
    match program.ended {
        Some(status) => has_ended_so(status, wanted),
        None => *wanted == Ended::Word("running".into()),
    }
}

/// Whether an end is the one that an exercise file names.
pub(super) fn has_ended_so(status: ExitStatus, wanted: &Ended) -> bool {
    match (status, wanted) {
        (_, Ended::Word(word)) if word == "any" => true,
        (ExitStatus::Exited(code), Ended::Code(wanted)) => code == *wanted,
        (ExitStatus::Signaled(n), Ended::Word(word)) => signals::parse(word).is_ok_and(|s| s == n),
        _ => false,
    }
}
