//! The steps that an exercise can take, a few lines each.

use std::time::{Duration, Instant};

use super::{engine::Run, programs::words};
use crate::{
    Error, Result,
    exercise::model::{Exercise, Facts, LinkStep, PowerStep, RECIPIENTS, Step, name_of},
    observer::ProcessRow,
    signals,
    time::{millis, now},
    timeline::What,
};

impl Run<'_> {
    /// Does one step: says, acts, waits, looks.
    pub(super) async fn step(&mut self, step: &Step, exercise: &Exercise) -> Result<()> {
        if let Some(text) = &step.say {
            self.did(What::Say { text: text.clone() });
            self.pause().await?;
        }
        if let Some(name) = &step.start {
            self.start(name, step, exercise).await?;
        }
        if let Some(line) = &step.type_line {
            self.type_into(step, format!("{line}\n")).await?;
        }
        if let Some(bytes) = step.send {
            self.type_into(step, "x".repeat(bytes)).await?;
        }
        if let Some(name) = &step.eof {
            let at = now();
            self.programs.end_input(name).await?;
            self.add(at, What::EndOfFile { program: name.clone() });
        }
        if let Some(signal) = &step.signal {
            self.signal(signal, recipient(step)?).await?;
        }
        if let Some(LinkStep { host, state }) = &step.link {
            self.link(host, *state).await?;
        }
        if let Some(PowerStep { host, state }) = &step.power {
            self.power(host, *state).await?;
        }
        if let Some(facts) = &step.wait {
            self.wait(facts, step.within_ms).await?;
        }
        if let Some(facts) = &step.require
            && !self.wait(facts, step.within_ms).await?
            && !self.is_broken()
        {
            self.record.ending.by_program = facts.are_lost(&self.snapshot);
            let observed: Vec<_> = facts.findings(&self.snapshot).into_iter().filter(|f| !f.holds).collect();
            let words = observed.iter().map(|f| [&[f.observed.clone()][..], &f.evidence].concat().join("\n"));
            self.record.ending.broken = Some(words.collect::<Vec<_>>().join("; "));
        }
        if let Some(name) = &step.look {
            self.look_around().await?;
            if self.is_broken() {
                return Ok(());
            }
            self.did(What::Look { name: name.clone() });
        }
        Ok(())
    }

    async fn start(&mut self, name: &str, step: &Step, exercise: &Exercise) -> Result<()> {
        let part =
            step.on.as_deref().ok_or_else(|| Error::usage(format!("`start: {name}` needs `on: HOST`")))?;
        let command = match (&step.program, &step.run) {
            (Some(program), _) => exercise.programs.get(program),
            (None, run) => run.as_ref(),
        };
        let command =
            command.ok_or_else(|| Error::usage(format!("`start: {name}` needs `program` or `run`")))?;
        let host = self.snapshot.host(part).to_owned();
        let at = now();
        let mut launched = words(command);
        let is_own = step.program.as_ref().is_some_and(|program| self.record.programs.contains_key(program));
        launched.unprivileged = is_own;
        let outer = self.programs.start(name, self.runtime, &self.plan.lab, &host, &launched).await?;
        // One that has ended already has no number any more.
        let pid = self.session.observer.resolve(outer).await.ok();
        let redo = crate::commandline::on_host(&host, command);
        let (program, command) = (name.to_owned(), command.clone());
        self.add(at, What::Started { program, host, command, pid, redo, own: is_own });
        Ok(())
    }

    async fn type_into(&mut self, step: &Step, text: String) -> Result<()> {
        let program = recipient(step)?.to_owned();
        let (at, started) = (now(), Instant::now());
        if !self.programs.write(&program, text.as_bytes()).await? {
            let observed = vec![format!("{program} does not read all that it is sent")];
            self.did(What::TimedOut { waited_ms: millis(started.elapsed()), observed });
        }
        self.add(at, What::Typed { program, text });
        Ok(())
    }

    /// Waits; what was waited for in vain is told, and is for the checks to judge.
    async fn wait(&mut self, facts: &Facts, within_ms: u64) -> Result<bool> {
        let started = Instant::now();
        let held = self.until(facts, Duration::from_millis(within_ms)).await?;
        if !held {
            let findings = facts.findings(&self.snapshot);
            let observed = findings.into_iter().filter(|f| !f.holds).map(|f| f.observed).collect();
            self.did(What::TimedOut { waited_ms: millis(started.elapsed()), observed });
        }
        Ok(held)
    }

    async fn signal(&mut self, signal: &str, to: &str) -> Result<()> {
        let number = signals::parse(signal)?;
        self.look_around().await?;
        let program = name_of(to).to_owned();
        let (host, targets) = self.targets(to)?;
        for target in targets {
            let at = now();
            // One that ended meanwhile gets no signal, and the checks see that it has ended.
            if self.session.observer.signal(&host, target.pid, number).await.is_ok() {
                let signal = signals::name(number).unwrap_or_default();
                let redo = format!("netlab kill --signal {} --pid {} {host}", &signal[3..], target.pid);
                let (program, host) = (program.clone(), host.clone());
                let (pid, name) = (target.pid, target.name);
                self.add(at, What::Signaled { program, host, pid, name, signal, redo });
            }
        }
        Ok(())
    }

    /// The processes that `a`, `server.parent`, `server.child`, … stand for.
    fn targets(&self, to: &str) -> Result<(String, Vec<ProcessRow>)> {
        let (name, which) = (name_of(to), to.split_once('.').map_or("", |(_, which)| which));
        let program = self.snapshot.programs.get(name).ok_or_else(|| {
            Error::usage(format!("a signal goes to \"{to}\", and no program \"{name}\" was started"))
        })?;
        let alive: Vec<&ProcessRow> = self.snapshot.processes(program).filter(|p| !p.is_zombie()).collect();
        let first = alive.iter().find(|p| Some(p.pid) == program.pid);
        let parent = alive.iter().find(|p| Some(p.pid) == program.parent);
        let children = || alive.iter().filter(|p| program.is_child(p.pid));
        let chosen: Vec<&ProcessRow> = match which {
            "" => first.copied().into_iter().collect(),
            "parent" => parent.copied().into_iter().collect(),
            "child" => children().max_by_key(|p| (p.started, p.pid)).copied().into_iter().collect(),
            "children" => children().copied().collect(),
            "zombies" => self.snapshot.processes(program).filter(|p| p.is_zombie()).collect(),
            "group" => {
                let group = parent.or(first).map(|p| p.pgid);
                alive.iter().filter(|p| Some(p.pgid) == group).copied().collect()
            }
            other => {
                return Err(Error::usage(format!("a signal goes to \"{to}\", and \"{other}\" is nothing"))
                    .hint(format!("one of {}", RECIPIENTS.join(", "))));
            }
        };
        Ok((program.host.clone(), chosen.into_iter().cloned().collect()))
    }
}

fn recipient(step: &Step) -> Result<&str> {
    step.to.as_deref().ok_or_else(|| Error::usage("`type`, `send` and `signal` need `to: PROGRAM`"))
}
