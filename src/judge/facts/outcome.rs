//! Facts about what a program printed, and how it ended.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::Finding;
use crate::{
    exercise::facts::{Count, Ended, Outcome, Outputs},
    judge::{program::Program, snapshot::Snapshot},
    kernel::ExitStatus,
    signals,
};

impl Outcome {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        let Some(program) = snapshot.programs.get(&self.name) else {
            return Finding {
                holds: false,
                observed: format!("{} was never started", self.name),
                evidence: Vec::new(),
            };
        };
        let all = || program.printed.lines();
        let said: Vec<&str> =
            all().filter(|line| self.prints.as_ref().is_some_and(|text| says(line, text))).collect();
        let mut holds = true;
        let mut observed = Vec::new();
        if let Some(text) = &self.prints {
            holds &= self.lines.unwrap_or(Count::SOME).admits(said.len() as u64);
            let never = if said.is_empty() { "never " } else { "" };
            observed.push(format!("{} {never}printed \"{text}\"", program.host));
        }
        if let Some(wanted) = self.different {
            let n = said.iter().collect::<HashSet<_>>().len() as u64;
            holds &= wanted.admits(n);
            observed.push(format!("{n} of {} such lines differ (expected {wanted})", said.len()));
        }
        if let Some(ended) = &self.ended {
            holds &= has_ended(program, ended);
            let how = program.ended.map_or("still running".to_owned(), |status| status.to_string());
            observed.push(format!("`{}` on {}: {how}", program.command, program.host));
        }
        // Only the whole output shows that something is missing, or that nothing should be there.
        let lines = if holds && !said.is_empty() { said } else { all().collect() };
        let evidence = lines.into_iter().map(str::to_owned).collect();
        Finding { holds, observed: observed.join("; "), evidence }
    }

    pub(super) fn is_lost(&self, snapshot: &Snapshot) -> bool {
        let is_over = |p: &Program| p.ended.is_some() && p.silent;
        snapshot.programs.get(&self.name).is_some_and(is_over) && !self.find(snapshot).holds
    }
}

impl Outputs {
    pub(super) fn find(&self, snapshot: &Snapshot) -> Finding {
        let mut programs: IndexMap<&str, u64> = IndexMap::new();
        for program in self.of.iter().filter_map(|name| snapshot.programs.get(name)) {
            *programs.entry(&program.printed).or_default() += 1;
        }
        let (n, total) = (programs.len() as u64, self.of.len());
        let in_a_line = |(text, n): (&str, u64)| {
            let lines: Vec<&str> = text.lines().collect();
            format!("{n} of {total} printed: {}", lines.join(", "))
        };
        Finding {
            holds: self.different.admits(n),
            observed: format!("{total} programs printed {n} different texts (expected {})", self.different),
            evidence: programs.into_iter().map(in_a_line).collect(),
        }
    }
}

/// Whether a line contains the text, in which `…` stands for any text.
fn says(line: &str, text: &str) -> bool {
    let mut rest = line;
    text.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn has_ended(program: &Program, wanted: &Ended) -> bool {
    match program.ended {
        Some(status) => has_ended_so(status, wanted),
        None => *wanted == Ended::Word("running".into()),
    }
}

/// Whether a program's end is the one that an exercise file names.
pub(super) fn has_ended_so(status: ExitStatus, wanted: &Ended) -> bool {
    match (status, wanted) {
        (_, Ended::Word(word)) if word == "any" => true,
        (ExitStatus::Exited(code), Ended::Code(wanted)) => code == *wanted,
        (ExitStatus::Signaled(n), Ended::Word(word)) => signals::parse(word).is_ok_and(|s| s == n),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipsis_stands_for_any_text() {
        assert!(says("child 12: test = 101", "child …: test = 101"));
        assert!(says("child 12: test = 101", "test = 10"));
        assert!(!says("parent 12: test = 101", "child …: test = 101"));
        assert!(!says("test = 101, said the child", "child … test"));
    }
}
