//! What an exercise does, step by step.

use std::time::{Duration, Instant};

use super::engine::Run;
use crate::{
    Error, Result,
    commandline::{argv, on_host},
    exercise::model::{Action, Facts, Recipient, Which},
    observer::ProcessRow,
    runtime::Command,
    signals,
    time::{millis, now},
    timeline::What,
};

impl Run<'_> {
    /// Does one thing.
    pub(super) async fn act(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Say(text) => {
                self.did(What::Say { text: text.clone() });
                self.pause().await
            }
            Action::Start { name, on, command, program } => {
                let is_own =
                    program.as_ref().is_some_and(|program| self.record.programs.contains_key(program));
                self.start(name, on, command, is_own).await
            }
            Action::Type { to, line } => self.type_into(to, format!("{line}\n")).await,
            Action::Send { to, bytes } => self.type_into(to, "x".repeat(*bytes)).await,
            Action::Eof(program) => {
                let at = now();
                self.programs.end_input(program).await?;
                self.add(at, What::EndOfFile { program: program.clone() });
                Ok(())
            }
            Action::Signal { to, signal } => self.signal(to, *signal).await,
            Action::Link { host, state } => self.link(host, *state).await,
            Action::Power { host, state } => self.power(host, *state).await,
            Action::Wait { facts, within_ms } => self.wait(facts, *within_ms).await.map(drop),
            Action::Require { facts, within_ms } => self.require(facts, *within_ms).await,
            Action::Look(name) => {
                self.look_around().await?;
                if !self.is_broken() {
                    self.did(What::Look { name: name.clone() });
                }
                Ok(())
            }
        }
    }

    async fn start(&mut self, name: &str, on: &str, command: &str, is_own: bool) -> Result<()> {
        let host = self.snapshot.host(on).to_owned();
        let at = now();
        let mut launched = Command::new(argv(command));
        launched.unprivileged = is_own;
        let outer = self.programs.start(name, self.runtime, &self.plan.lab, &host, &launched).await?;
        // A program that has already ended no longer has a PID.
        let pid = self.session.observer.resolve(outer).await.ok();
        let redo = on_host(&host, command);
        let (program, command) = (name.to_owned(), command.to_owned());
        self.add(at, What::Started { program, host, command, pid, redo, own: is_own });
        Ok(())
    }

    async fn type_into(&mut self, program: &str, text: String) -> Result<()> {
        let program = program.to_owned();
        let (at, started) = (now(), Instant::now());
        if !self.programs.write(&program, text.as_bytes()).await? {
            let observed = vec![format!("{program} does not read all that it is sent")];
            self.did(What::TimedOut { waited_ms: millis(started.elapsed()), observed });
        }
        self.add(at, What::Typed { program, text });
        Ok(())
    }

    /// Waits for facts. If the time runs out, records what was missing, and leaves it to the checks to judge.
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

    /// Waits for facts that later checks depend on. Without them, nothing can be decided.
    async fn require(&mut self, facts: &Facts, within_ms: u64) -> Result<()> {
        if self.wait(facts, within_ms).await? || self.is_broken() {
            return Ok(());
        }
        self.record.ending.by_program = facts.are_lost(&self.snapshot);
        let observed: Vec<_> = facts.findings(&self.snapshot).into_iter().filter(|f| !f.holds).collect();
        let words = observed.iter().map(|f| [&[f.observed.clone()][..], &f.evidence].concat().join("\n"));
        self.record.ending.broken = Some(words.collect::<Vec<_>>().join("; "));
        Ok(())
    }

    async fn signal(&mut self, to: &Recipient, number: i32) -> Result<()> {
        self.look_around().await?;
        let program = to.program.clone();
        let (host, targets) = self.targets(to)?;
        for target in targets {
            let at = now();
            // A process that has ended in the meantime gets no signal, and the checks see that it has ended.
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
    fn targets(&self, to: &Recipient) -> Result<(String, Vec<ProcessRow>)> {
        let program = self.snapshot.programs.get(&to.program).ok_or_else(|| {
            Error::usage(format!("a signal goes to the program \"{}\", which was not started", to.program))
        })?;
        let alive: Vec<&ProcessRow> = self.snapshot.processes(program).filter(|p| !p.is_zombie()).collect();
        let first = alive.iter().find(|p| Some(p.pid) == program.pid);
        let parent = alive.iter().find(|p| Some(p.pid) == program.parent);
        let children = || alive.iter().filter(|p| program.is_child(p.pid));
        let chosen: Vec<&ProcessRow> = match to.which {
            Which::First => first.copied().into_iter().collect(),
            Which::Parent => parent.copied().into_iter().collect(),
            Which::Child => children().max_by_key(|p| (p.started, p.pid)).copied().into_iter().collect(),
            Which::Children => children().copied().collect(),
            Which::Zombies => self.snapshot.processes(program).filter(|p| p.is_zombie()).collect(),
            Which::Group => {
                let group = parent.or(first).map(|p| p.pgid);
                alive.iter().filter(|p| Some(p.pgid) == group).copied().collect()
            }
        };
        Ok((program.host.clone(), chosen.into_iter().cloned().collect()))
    }
}
