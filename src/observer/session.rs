//! A running lab under observation.

use std::collections::VecDeque;

use super::{Observer, Seen, Sightings, Tables};
use crate::{
    Result,
    runtime::{Runtime, Watch, WatchedHost},
};

/// An observer of one lab, with the tables as last seen.
pub struct Session {
    /// The observer, to ask.
    pub observer: Observer,
    /// The latest tables of every host.
    pub tables: Tables,
    /// What is watched.
    pub watch: Watch,
    /// What is seen, in order.
    seen: Sightings,
    /// What could not be seen from the beginning on.
    blind: VecDeque<Seen>,
}

impl Session {
    /// Starts to watch a lab. Every host was looked at once when this returns. What could not be seen is the first thing
    /// that comes.
    pub async fn open(runtime: &dyn Runtime, lab: &str) -> Result<Self> {
        let (process, watch) = runtime.observe(lab).await?;
        let (observer, seen) = Observer::attach(process, &watch).await?;
        let mut session = Self { observer, tables: Tables::default(), watch, seen, blind: VecDeque::new() };
        let first = session.look().await?;
        session.blind =
            first.into_iter().filter(|seen| matches!(seen, Seen::ObservationLost { .. })).collect();
        Ok(session)
    }

    /// The next thing seen, after the tables have taken it in. Safe to cancel.
    pub async fn next(&mut self) -> Result<Seen> {
        if let Some(blind) = self.blind.pop_front() {
            return Ok(blind);
        }
        match self.seen.next().await {
            Some(seen) => Ok(self.take_in(seen)),
            None => Err(self.observer.lost()),
        }
    }

    /// Looks at every host now and takes in all that was seen until then, packets included.
    pub async fn look(&mut self) -> Result<Vec<Seen>> {
        self.observer.sample().await?;
        let mut all: Vec<Seen> = self.blind.drain(..).collect();
        while let Some(seen) = self.seen.try_next() {
            all.push(self.take_in(seen));
        }
        if self.seen.are_over() { Err(self.observer.lost()) } else { Ok(all) }
    }

    /// Watches a host that has come back, as [`Runtime::start_host`] told of it. Nothing that was seen
    /// meanwhile is lost: it comes with the next look.
    pub async fn watch_again(&mut self, host: &WatchedHost) -> Result<()> {
        self.watch.hosts.retain(|h| h.name != host.name);
        self.watch.hosts.push(host.clone());
        self.observer.watch(host).await
    }

    /// Waits until the tables satisfy `condition`; says whether they did before the deadline.
    pub async fn until(
        &mut self,
        within: std::time::Duration,
        mut condition: impl FnMut(&Tables) -> bool,
    ) -> Result<bool> {
        let deadline = tokio::time::Instant::now() + within;
        while !condition(&self.tables) {
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(seen) => seen.map(drop)?,
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    fn take_in(&mut self, seen: Seen) -> Seen {
        self.tables.apply(&seen);
        seen
    }
}
