//! Runs an exercise: performs its steps, and records everything that is done and seen.

use std::{
    collections::BTreeSet,
    future::Future,
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use tokio::time::timeout_at;

use super::{
    bounds::{self, Bounds},
    excess::{self, Crowds},
    folder::Folder,
    outside, ports,
    programs::{ProgramEvent, Programs},
    watcher::Watcher,
};
use crate::{
    Error, Kind, Result,
    capture::{Decoder, Frame, RawPacket, Recorder, SeqAnalysis, show},
    exercise::{
        Options, Template, assign_roles, bind,
        model::{Exercise, Facts},
    },
    judge::Snapshot,
    observer::{ProcessRow, Seen, Session},
    record::Record,
    runtime::{LabState, Runtime, reached},
    time::{Nanos, millis, now},
    timeline::{Event, Packet, What},
    topology::Plan,
    workspace,
};

/// How late an event may arrive after it happened, in nanoseconds.
const SETTLE: Nanos = 50_000_000;

/// How often to look for changes that no event reports.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How many inputs are processed before other tasks get their turn. A lab may have seen any number of packets, and
/// this program may be observing other labs at the same time.
const TURN: usize = 256;

/// An exercise while it runs.
pub struct Run<'r> {
    pub(super) runtime: &'r dyn Runtime,
    pub(super) plan: &'r Plan,
    pub(super) session: Session,
    pub(super) programs: Programs,
    /// What was done and seen so far, and what it comes to.
    pub(super) record: Record,
    pub(super) snapshot: Snapshot,
    /// The hosts whose power the exercise has cut.
    pub(super) dark: BTreeSet<String>,
    /// The hosts whose links it has cut.
    pub(super) unplugged: BTreeSet<String>,
    crowds: Crowds,
    bounds: Bounds,
    /// How many of the record's events the watcher has received.
    told: usize,
    /// Until when everything that the observer saw has been taken in.
    observed: Nanos,
    recorder: Recorder,
    decoder: Decoder,
    watcher: &'r mut dyn Watcher,
}

/// Runs an exercise on a lab and returns its record, which is also written to the folder. `watcher` gets every event
/// as it comes, with the record so far. The run ends when `stop` does; whatever it started is ended in any case.
pub async fn run(
    template: &Template,
    runtime: &dyn Runtime,
    lab: &LabState,
    options: &Options,
    folder: &Folder,
    stop: impl Future<Output = ()>,
    watcher: &mut dyn Watcher,
) -> Result<Record> {
    let started = Instant::now();
    let mut stop = pin!(stop);
    let roles = assign_roles(&lab.plan, template.exercise.clients)?;
    let prepare = async {
        let session = Session::open(runtime, &lab.plan.lab).await?;
        let workspace = if template.needs_sources() && options.judged.is_none() {
            Some(workspace::on_host(runtime, lab, &roles["server"]).await?)
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
    let (ports, _held) = ports::choose(&session, &lab.plan.lab, &roles, wanted, options.port)?;
    let exercise = bind(template, &roles, &ports, workspace, &options.programs, options.judged.as_deref())?;
    let before = runtime.limits_reached(&lab.plan).await;

    let mut record = Record::new(exercise.clone(), lab.plan.clone(), runtime.kind(), roles);
    record.ports = ports;
    record.workspace = workspace.map(str::to_owned);
    record.programs = options.programs.clone();
    record.judged.clone_from(&options.judged);
    record.origin.clone_from(&options.origin);
    let mut run = Run::new(runtime, lab, session, record, &folder.artifacts().capture, watcher)?;
    let finished = tokio::select! {
        finished = run.perform(&exercise) => finished,
        () = stop.as_mut() => Err(Error::interrupted()),
    };
    // This comes before the programs are ended.
    let met = reached::since(&before, runtime.limits_reached(&lab.plan).await);
    let excess = excess::reached(options.programs.keys(), &run.snapshot, &run.crowds, &lab.plan, &met);
    run.record.ending.excess.clone_from(&excess);
    let cleared = run.clear().await;
    run.tell_settled(Nanos::MAX);
    finished.and(cleared).map_err(|error| match &excess {
        Some(why) if error.kind == Kind::Lab => Error::excess(why).caused_by(error),
        _ => error,
    })?;
    let mut record = run.record;
    record.elapsed_ms = millis(started.elapsed());
    folder.keep(&record)?;
    Ok(record)
}

impl<'r> Run<'r> {
    fn new(
        runtime: &'r dyn Runtime,
        lab: &'r LabState,
        session: Session,
        record: Record,
        capture: &Path,
        watcher: &'r mut dyn Watcher,
    ) -> Result<Self> {
        let recorder = Recorder::create(capture, &session.watch.segments, lab.plan.addresses())?;
        let recorder = recorder.bounded(bounds::MOST_CAPTURED);
        Ok(Self {
            runtime,
            plan: &lab.plan,
            session,
            programs: Programs::new(),
            snapshot: Snapshot::before(&record),
            record,
            dark: BTreeSet::new(),
            unplugged: BTreeSet::new(),
            crowds: Crowds::default(),
            bounds: Bounds::default(),
            told: 0,
            observed: 0,
            recorder,
            decoder: Decoder::new(),
            watcher,
        })
    }

    async fn perform(&mut self, exercise: &Exercise) -> Result<()> {
        self.note_tables()?;
        self.did(What::Begun);
        for action in &exercise.steps {
            if self.is_broken() {
                break;
            }
            self.act(action).await?;
        }
        self.look_around().await
    }

    /// Records the state of every host before anything is done. Later, only changes are reported.
    fn note_tables(&mut self) -> Result<()> {
        let at = now();
        for host in self.session.watch.hosts.clone() {
            let sockets = self.session.tables.sockets(&host.name).to_vec();
            if self.bounds.table(sockets.len())? {
                self.add(at, What::Sockets { host: host.name.clone(), rows: sockets });
            }
            let processes = self.session.tables.processes(&host.name).to_vec();
            if self.bounds.table(processes.len())? {
                self.add(at, What::Processes { host: host.name, rows: processes });
            }
        }
        Ok(())
    }

    /// Waits until the facts hold. Returns whether they did in time.
    pub(super) async fn until(&mut self, facts: &Facts, within: Duration) -> Result<bool> {
        let deadline = tokio::time::Instant::now() + within;
        while !facts.hold(&self.snapshot) {
            if facts.are_lost(&self.snapshot) {
                return Ok(false);
            }
            let next = async {
                tokio::select! {
                    seen = self.session.next() => Input::Seen(seen),
                    (at, program, news) = self.programs.next() => Input::ProgramEvent(at, program, news),
                }
            };
            let look_again = tokio::time::Instant::now() + LOOK_AGAIN;
            let until = if facts.must_be_polled() { deadline.min(look_again) } else { deadline };
            match timeout_at(until, next).await {
                Ok(Input::Seen(seen)) => self.see(seen?)?,
                Ok(Input::ProgramEvent(at, program, news)) => {
                    // A program that prints or ends has also changed its host's tables.
                    self.news(at, program, news)?;
                    self.look_around().await?;
                }
                Err(_) => {
                    self.look_around().await?;
                    if until == deadline {
                        return Ok(facts.hold(&self.snapshot));
                    }
                }
            }
        }
        Ok(true)
    }

    /// Looks at every host now, and records everything that has happened so far.
    pub(super) async fn look_around(&mut self) -> Result<()> {
        let begun = now();
        for (n, seen) in self.session.look().await?.into_iter().enumerate() {
            self.see(seen)?;
            if n % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        self.observed = self.observed.max(begun);
        while let Some((at, program, news)) = self.programs.try_next() {
            self.news(at, program, news)?;
        }
        Ok(())
    }

    fn see(&mut self, seen: Seen) -> Result<()> {
        match seen {
            Seen::Packet(packet) => {
                self.observed = self.observed.max(packet.at);
                self.packet(&packet)?;
            }
            Seen::Sockets { at, host, rows } => {
                if self.bounds.table(rows.len())? {
                    self.add(at, What::Sockets { host, rows });
                }
            }
            Seen::Processes { at, host, rows } => {
                self.crowds.note(&host, rows.len());
                if self.bounds.table(rows.len())? {
                    self.add(at, What::Processes { host, rows });
                }
            }
            Seen::Gone { host, .. } if self.dark.contains(&host) => {}
            Seen::Gone { at, host } => {
                let why = format!("host {host} was stopped or restarted meanwhile");
                self.disturb(&why);
                self.add(at, What::ObservationLost { why });
            }
            Seen::ObservationLost { at, why } => self.lose_sight(at, why),
        }
        Ok(())
    }

    fn lose_sight(&mut self, at: Nanos, why: String) {
        self.record.ending.broken.get_or_insert_with(|| why.clone());
        self.add(at, What::ObservationLost { why });
    }

    /// Notes that somebody else has disturbed the run. Nothing after that can be decided.
    pub(super) fn disturb(&mut self, why: &str) {
        self.record.ending.disturbed.get_or_insert_with(|| why.to_owned());
        self.record.ending.broken.get_or_insert_with(|| why.to_owned());
    }

    /// Whether nothing can be decided from now on.
    pub(super) fn is_broken(&self) -> bool {
        self.record.ending.broken.is_some()
    }

    fn packet(&mut self, packet: &RawPacket) -> Result<()> {
        if !self.bounds.packet(self.snapshot.conversations.len())? {
            return Ok(());
        }
        let was_full = self.recorder.is_full();
        self.recorder.packet(packet)?;
        if self.recorder.is_full() && !was_full {
            self.add(packet.at, What::CaptureFull { bytes: bounds::MOST_CAPTURED });
        }
        let frame = Frame::from(packet);
        let Some(segment) = self.decoder.segment(&frame) else { return Ok(()) };
        let seen = self.snapshot.push(&segment);
        let what = What::Packet(Packet {
            number: if self.recorder.is_full() { 0 } else { self.recorder.count() },
            segment: self.session.watch.segments[usize::from(packet.segment)].name.clone(),
            from: self.snapshot.names.host(segment.src.ip()),
            from_port: segment.src.port(),
            to: self.snapshot.names.host(segment.dst.ip()),
            to_port: segment.dst.port(),
            flags: segment.flags,
            len: segment.len,
            retransmission: seen.analysis == SeqAnalysis::Retransmission,
            line: show::line(&segment, &seen, &self.snapshot.names),
            header: Some((&segment).into()),
        });
        // The snapshot already includes it, so this is not `add`.
        self.put(Event { at: packet.at, what });
        Ok(())
    }

    fn news(&mut self, at: Nanos, name: String, news: ProgramEvent) -> Result<()> {
        let Some(program) = self.snapshot.programs.get(&name) else { return Ok(()) };
        let host = program.host.clone();
        let what = match news {
            ProgramEvent::Lost(error) => return Err(error),
            ProgramEvent::Silent => What::Silent { program: name },
            ProgramEvent::Printed(text) => What::Printed { program: name, host, text },
            ProgramEvent::Ended(status) => {
                let is_dark = program.lost_power || self.dark.contains(&host);
                let why = outside::ended(program, status, self.plan.untrusted);
                if let Some(why) = why.filter(|_| !is_dark) {
                    self.disturb(&why);
                }
                What::Ended { program: name, host, status }
            }
        };
        self.add(at, what);
        Ok(())
    }

    /// Adds something that is done now.
    pub(super) fn did(&mut self, what: What) {
        self.add(now(), what);
    }

    /// Adds something that happened at that time.
    pub(super) fn add(&mut self, at: Nanos, what: What) {
        let event = Event { at, what };
        self.snapshot.apply(&event);
        self.put(event);
    }

    /// Puts an event in its place.
    fn put(&mut self, event: Event) {
        let place = self.record.timeline.add(event);
        if place < self.told {
            // The watcher gets it too late, and out of order, but it is not lost.
            self.watcher.event(&self.record, &self.record.timeline.events()[place]);
            self.told += 1;
        }
        // Packets that passed while nobody read them belong before what programs have printed since.
        self.tell_settled(now().saturating_sub(SETTLE).min(self.observed));
    }

    /// Shows everything so far and waits, if the watcher wants to pause before each step.
    pub(super) async fn pause(&mut self) -> Result<()> {
        if self.watcher.pauses() {
            self.look_around().await?;
            self.tell_settled(Nanos::MAX);
            self.watcher.pause().await;
        }
        Ok(())
    }

    /// Passes on what happened until then. What is seen later may have happened earlier, so an event's place is
    /// settled only after a moment.
    fn tell_settled(&mut self, until: Nanos) {
        while let Some(event) = self.record.timeline.events().get(self.told)
            && event.at <= until
        {
            self.watcher.event(&self.record, event);
            self.told += 1;
        }
    }

    /// Restores what the exercise has cut, and kills every process of it that is still alive. Does each even if the
    /// other fails.
    async fn clear(&mut self) -> Result<()> {
        let mended = self.restore().await;
        let ended = self.end_programs().await;
        match (mended, ended) {
            (Err(one), Err(other)) => Err(Error::lab(format!("{one}; {other}")).caused_by(one)),
            (mended, ended) => mended.and(ended),
        }
    }

    async fn end_programs(&mut self) -> Result<()> {
        self.look_around().await?;
        let left: Vec<(String, i32)> = self
            .snapshot
            .programs
            .values()
            .flat_map(|p| {
                self.snapshot.processes(p).filter(|row| !row.is_zombie()).map(|row| (p.host.clone(), row.pid))
            })
            .collect();
        for (host, pid) in &left {
            // It may have ended in the meantime.
            let _ = self.session.observer.signal(host, *pid, nix::libc::SIGKILL).await;
        }
        let gone = |tables: &crate::observer::Tables| {
            left.iter().all(|(host, pid)| tables.process(host, *pid).is_none_or(ProcessRow::is_zombie))
        };
        let within = Duration::from_secs(2);
        if self.session.until(within, gone).await? {
            return Ok(());
        }
        let left: Vec<_> = left.iter().map(|(host, pid)| format!("{pid} on {host}")).collect();
        Err(Error::lab(format!("processes of the exercise do not end: {}", left.join(", "))))
    }
}

/// Something to record.
enum Input {
    Seen(Result<Seen>),
    ProgramEvent(Nanos, String, ProgramEvent),
}
