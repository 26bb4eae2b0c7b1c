//! Runs an exercise: does its steps, keeps everything that is seen, and asks its checks.

use std::{
    collections::BTreeSet,
    future::Future,
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use indexmap::IndexMap;
use tokio::time::timeout_at;

use super::{
    bind::{self, Cast},
    bounds::{self, Bounds},
    excess::{self, Crowds},
    folder::Folder,
    foreign::Borrowed,
    library::Template,
    model::{Check, Exercise, Facts},
    ports::{self, Ports},
    programs::{News, Programs, now},
    scene::Scene,
    verdict::{CheckResult, Outcome, Verdict, millis},
};
use crate::{
    Error, Kind, Result,
    capture::{Decoder, Frame, Novelty, Recorder, show},
    observer::{
        ProcessRow, Seen, Session,
        protocol::{Nanos, RawPacket},
    },
    report,
    runtime::{LabState, Runtime},
    timeline::{Event, Packet, Timeline, What},
    topology::Plan,
    workspace,
};

/// How long after it happened an event may still be heard of, in nanoseconds.
const SETTLE: Nanos = 50_000_000;

/// How often to look for what nobody tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What may be chosen about a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port; without it, the exercise's, or the next one that is free.
    pub port: Option<u16>,
    /// The user's own programs, by the exercise's names for them.
    pub programs: IndexMap<String, String>,
    /// The one of them that is judged: nothing is done and nothing asked that is about another one.
    pub judged: Option<String>,
    /// Whether each step waits for the Enter key.
    pub step: bool,
}

/// So much is taken in at a time before whatever else this program does has its turn: a lab may have seen any number
/// of packets, and others are looked at beside it.
const TURN: usize = 256;

/// An exercise while it runs.
pub struct Run<'r> {
    pub(super) runtime: &'r dyn Runtime,
    pub(super) plan: &'r Plan,
    pub(super) session: Session,
    pub(super) programs: Programs,
    pub(super) scene: Scene,
    pub(super) looks: IndexMap<String, Scene>,
    /// The hosts whose power the exercise has cut.
    pub(super) dark: BTreeSet<String>,
    /// The hosts whose links it has cut.
    pub(super) unplugged: BTreeSet<String>,
    /// Why nothing after this moment can be told, if so.
    pub(super) broken: Option<String>,
    /// Whether that is so because a program has ended.
    pub(super) is_over: bool,
    crowds: Crowds,
    bounds: Bounds,
    timeline: Timeline,
    /// How many of its events were told.
    told: usize,
    /// The user's own programs, by the exercise's names for them.
    pub(super) own: BTreeSet<String>,
    /// Whether one of them is judged.
    judges: bool,
    /// Whether each step waits for the Enter key.
    by_hand: bool,
    recorder: Recorder,
    decoder: Decoder,
    tell: &'r mut (dyn FnMut(&Event) + Send),
}

/// Runs an exercise on a lab. `tell` hears of every event as it comes. When `stop` ends, so does the
/// run; what it started is ended in any case.
pub async fn run(
    template: &Template,
    runtime: &dyn Runtime,
    lab: &LabState,
    options: &Options,
    folder: &Folder,
    stop: impl Future<Output = ()>,
    tell: &mut (dyn FnMut(&Event) + Send),
) -> Result<Outcome> {
    let started = Instant::now();
    let mut stop = pin!(stop);
    let cast = bind::cast(&lab.plan, template.exercise.clients)?;
    let prepare = async {
        let session = Session::open(runtime, &lab.plan.lab).await?;
        let workspace = if template.needs_sources() && options.judged.is_none() {
            Some(workspace::on_host(runtime, lab, &cast["server"]).await?)
        } else {
            None
        };
        Ok::<_, Error>((session, workspace))
    };
    let (session, workspace) = tokio::select! {
        prepared = prepare => prepared?,
        () = stop.as_mut() => return Err(Error::interrupted()),
    };
    let wanted = &template.exercise.ports;
    let (ports, _held) = ports::choose(&session, &lab.plan.lab, &cast, wanted, options.port)?;
    let exercise = bind::bind(template, &cast, &ports, workspace, options)?;
    let artifacts = folder.artifacts();

    let mut run = Run::new(runtime, lab, session, cast, ports, &artifacts.capture, tell)?;
    run.by_hand = options.step;
    run.judges = options.judged.is_some();
    run.own = options.programs.keys().cloned().collect();
    let finished = tokio::select! {
        finished = run.perform(&exercise) => finished,
        () = stop.as_mut() => Err(Error::interrupted()),
    };
    // Before every program is ended.
    let excess = excess::reached(options.programs.keys(), &run.scene, &run.crowds, &lab.plan);
    let cleared = run.clear().await;
    run.tell_settled(Nanos::MAX);
    finished.and(cleared).map_err(|error| match &excess {
        Some(why) if error.kind == Kind::Lab => Error::excess(why).caused_by(error),
        _ => error,
    })?;
    let own_fault = run.broken.is_none() || run.is_over || excess.is_some();
    if let (Some(broken), Some(why)) = (&mut run.broken, &excess) {
        *broken = format!("{why}; {broken}");
    }

    let of = |check: &Check| CheckResult::of(check, run.moment(check.at.as_deref()), &artifacts.capture);
    let checks: Vec<CheckResult> = exercise.checks.iter().map(of).collect();
    let own = || options.programs.keys();
    let outcome = Outcome {
        exercise: exercise.id.clone(),
        title: exercise.title.clone(),
        runtime: runtime.kind(),
        verdict: Verdict::of_all(checks.iter().map(|c| c.verdict)),
        checks,
        netlabs: run.borrowed(own(), |b| b.netlabs.clone()).into_iter().map(|(name, _)| name).collect(),
        foreign: run.borrowed(own(), |b| b.listener.clone()),
        borrowed: run.borrowed(own(), Borrowed::name),
        own_fault,
        artifacts,
        elapsed_ms: millis(started.elapsed()),
    };
    let evidence = report::Evidence::new(&exercise, &lab.plan, &outcome, &run.timeline, &run.scene);
    report::write(&evidence, folder)?;
    Ok(outcome)
}

impl<'r> Run<'r> {
    fn new(
        runtime: &'r dyn Runtime,
        lab: &'r LabState,
        session: Session,
        cast: Cast,
        ports: Ports,
        capture: &Path,
        tell: &'r mut (dyn FnMut(&Event) + Send),
    ) -> Result<Self> {
        let recorder = Recorder::create(capture, &session.watch.segments, lab.plan.addresses())?;
        let recorder = recorder.bounded(bounds::MOST_CAPTURED);
        let scene = Scene {
            ports,
            cast,
            tables: session.tables.clone(),
            names: lab.plan.addresses().collect(),
            ..Scene::default()
        };
        Ok(Self {
            runtime,
            plan: &lab.plan,
            session,
            programs: Programs::new(),
            scene,
            looks: IndexMap::new(),
            dark: BTreeSet::new(),
            unplugged: BTreeSet::new(),
            broken: None,
            is_over: false,
            crowds: Crowds::default(),
            bounds: Bounds::default(),
            timeline: Timeline::default(),
            told: 0,
            own: BTreeSet::new(),
            judges: false,
            by_hand: false,
            recorder,
            decoder: Decoder::new(),
            tell,
        })
    }

    async fn perform(&mut self, exercise: &Exercise) -> Result<()> {
        self.note_tables()?;
        if self.judges {
            self.scene.expect_no_strangers(self.plan.hosts.iter().map(|host| host.name.as_str()));
        }
        for step in &exercise.steps {
            if self.broken.is_some() {
                break;
            }
            self.step(step, exercise).await?;
        }
        self.look_around().await
    }

    /// How every host is before anything is done: later only what changes is told.
    fn note_tables(&mut self) -> Result<()> {
        let at = now();
        for host in self.session.watch.hosts.clone() {
            let sockets = self.scene.tables.sockets(&host.name).to_vec();
            if self.bounds.table(sockets.len())? {
                self.add(at, What::Sockets { host: host.name.clone(), rows: sockets });
            }
            let processes = self.scene.tables.processes(&host.name).to_vec();
            if self.bounds.table(processes.len())? {
                self.add(at, What::Processes { host: host.name, rows: processes });
            }
        }
        Ok(())
    }

    /// The moment that a check asks about, or why there is none.
    fn moment(&self, look: Option<&str>) -> Result<&Scene, &str> {
        let missing = self.broken.as_deref();
        match look {
            None => missing.map_or(Ok(&self.scene), Err),
            Some(name) => {
                self.looks.get(name).ok_or(missing.unwrap_or("the exercise took no look by that name"))
            }
        }
    }

    /// What a way to ask each of these programs' borrowings gives, by the programs' names.
    fn borrowed<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
        ask: impl Fn(&Borrowed) -> Option<String>,
    ) -> Vec<(String, String)> {
        let of = |name: &String| ask(&self.scene.programs.get(name)?.borrowed);
        names.filter_map(|name| Some((name.clone(), of(name)?))).collect()
    }

    /// Waits until the facts hold; says whether they did in time.
    pub(super) async fn until(&mut self, facts: &Facts, within: Duration) -> Result<bool> {
        let deadline = tokio::time::Instant::now() + within;
        while !facts.hold(&self.scene) {
            if facts.are_lost(&self.scene) {
                return Ok(false);
            }
            let next = async {
                tokio::select! {
                    seen = self.session.next() => Heard::Seen(seen),
                    (at, program, news) = self.programs.next() => Heard::News(at, program, news),
                }
            };
            // Nobody tells of processor time that passes, or of a descriptor: one has to look.
            let is_told = facts.cpu.is_empty() && facts.descriptors.is_empty();
            let look_again = tokio::time::Instant::now() + LOOK_AGAIN;
            let until = if is_told { deadline } else { deadline.min(look_again) };
            match timeout_at(until, next).await {
                Ok(Heard::Seen(seen)) => self.see(seen?)?,
                Ok(Heard::News(at, program, news)) => {
                    // A program that prints or ends has changed its host's tables, too.
                    self.news(at, program, news)?;
                    self.look_around().await?;
                }
                Err(_) => {
                    self.look_around().await?;
                    if until == deadline {
                        return Ok(facts.hold(&self.scene));
                    }
                }
            }
        }
        Ok(true)
    }

    /// Looks at every host now, and takes in everything that has happened until now.
    pub(super) async fn look_around(&mut self) -> Result<()> {
        for (n, seen) in self.session.look().await?.into_iter().enumerate() {
            self.see(seen)?;
            if n % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        while let Some((at, program, news)) = self.programs.try_next() {
            self.news(at, program, news)?;
        }
        Ok(())
    }

    fn see(&mut self, seen: Seen) -> Result<()> {
        match seen {
            Seen::Packet(packet) => self.packet(&packet)?,
            Seen::Sockets { at, host, rows } => {
                self.take_tables();
                if self.bounds.table(rows.len())? {
                    self.add(at, What::Sockets { host, rows });
                }
            }
            Seen::Processes { at, host, rows } => {
                self.crowds.note(&host, rows.len());
                self.take_tables();
                if self.bounds.table(rows.len())? {
                    self.add(at, What::Processes { host, rows });
                }
            }
            Seen::Gone { host, .. } if self.dark.contains(&host) => {}
            Seen::Gone { at, host } => self.lose_sight(at, format!("host {host} is gone")),
            Seen::Blind { at, why } => self.lose_sight(at, why),
        }
        Ok(())
    }

    fn lose_sight(&mut self, at: Nanos, why: String) {
        self.broken.get_or_insert_with(|| why.clone());
        self.add(at, What::Blind { why });
    }

    fn packet(&mut self, packet: &RawPacket) -> Result<()> {
        if !self.bounds.packet(self.scene.conversations.len())? {
            return Ok(());
        }
        let was_full = self.recorder.is_full();
        self.recorder.packet(packet)?;
        if self.recorder.is_full() && !was_full {
            self.add(packet.at, What::CaptureFull { bytes: bounds::MOST_CAPTURED });
        }
        let frame = Frame::from(packet);
        let Some(segment) = self.decoder.segment(&frame) else { return Ok(()) };
        let seen = self.scene.conversations.push(&segment);
        let what = What::Packet(Packet {
            number: if self.recorder.is_full() { 0 } else { self.recorder.count() },
            segment: self.session.watch.segments[usize::from(packet.segment)].name.clone(),
            from: self.scene.names.host(segment.src.ip()),
            from_port: segment.src.port(),
            to: self.scene.names.host(segment.dst.ip()),
            to_port: segment.dst.port(),
            flags: segment.flags,
            len: segment.len,
            again: seen.novelty == Novelty::Retransmission,
            line: show::line(&segment, &seen, &self.scene.names),
        });
        self.add(packet.at, what);
        Ok(())
    }

    fn take_tables(&mut self) {
        self.scene.tables.clone_from(&self.session.tables);
        self.scene.refresh();
    }

    fn news(&mut self, at: Nanos, name: String, news: News) -> Result<()> {
        let Some(program) = self.scene.programs.get_mut(&name) else { return Ok(()) };
        let host = program.host.clone();
        let what = match news {
            News::Lost(error) => return Err(error),
            News::Silent => {
                program.silent = true;
                return Ok(());
            }
            News::Printed(text) => {
                program.printed.push_str(&text);
                What::Printed { program: name, host, text }
            }
            News::Ended(status) => {
                program.ended = Some(status);
                What::Ended { program: name, host, status }
            }
        };
        self.add(at, what);
        Ok(())
    }

    /// Adds something done now.
    pub(super) fn did(&mut self, what: What) {
        self.add(now(), what);
    }

    /// Adds something that happened then.
    pub(super) fn add(&mut self, at: Nanos, what: What) {
        let place = self.timeline.add(Event { at, what });
        if place < self.told {
            // Too late for its place, but not lost.
            (self.tell)(&self.timeline.events()[place]);
            self.told += 1;
        }
        self.tell_settled(now().saturating_sub(SETTLE));
    }

    /// Tells everything, and waits for the Enter key if the user wants to look around first.
    pub(super) async fn pause(&mut self) -> Result<()> {
        if !self.by_hand {
            return Ok(());
        }
        self.look_around().await?;
        self.tell_settled(Nanos::MAX);
        eprint!("   [Enter: do it · ^D: go on to the end · ^C: stop] ");
        let key = crate::aside(|| std::io::stdin().read_line(&mut String::new()));
        if let Ok(Ok(0)) = key.await {
            // Nobody is there to press a key: go on without.
            self.by_hand = false;
        }
        Ok(())
    }

    /// Tells of what happened until then. What was seen later may have happened earlier, so a moment
    /// must pass before an event has its place.
    fn tell_settled(&mut self, until: Nanos) {
        while let Some(event) = self.timeline.events().get(self.told)
            && event.at <= until
        {
            (self.tell)(event);
            self.told += 1;
        }
    }

    /// Mends what the exercise has cut, and ends every process that it started and that still lives: the
    /// one even where the other fails.
    async fn clear(&mut self) -> Result<()> {
        let mended = self.mend().await;
        let ended = self.end_programs().await;
        match (mended, ended) {
            (Err(one), Err(other)) => Err(Error::lab(format!("{one}; {other}")).caused_by(one)),
            (mended, ended) => mended.and(ended),
        }
    }

    async fn end_programs(&mut self) -> Result<()> {
        self.look_around().await?;
        let left: Vec<(String, i32)> = self
            .scene
            .programs
            .values()
            .flat_map(|p| {
                self.scene.processes(p).filter(|row| !row.is_zombie()).map(|row| (p.host.clone(), row.pid))
            })
            .collect();
        for (host, pid) in &left {
            // It may have ended by itself meanwhile.
            let _ = self.session.observer.signal(host, *pid, nix::libc::SIGKILL).await;
        }
        let gone = |tables: &crate::observer::Tables| {
            left.iter().all(|(host, pid)| tables.process(host, *pid).is_none_or(ProcessRow::is_zombie))
        };
        self.session.until(Duration::from_secs(2), gone).await.map(drop)
    }
}

/// Something to take in.
enum Heard {
    Seen(Result<Seen>),
    News(Nanos, String, News),
}
