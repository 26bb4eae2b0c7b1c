//! A session of observing a running lab.

use std::collections::VecDeque;

use super::{Observer, Seen, Sightings, Tables};
use crate::{
    Result,
    runtime::{Runtime, Watch, WatchedHost},
};

/// An observer of one lab, with the tables as last seen.
pub struct Session {
    /// The observer, for requests.
    pub observer: Observer,
    /// The latest tables of every host.
    pub tables: Tables,
    /// What is watched.
    pub watch: Watch,
    /// The observations, in order.
    seen: Sightings,
    /// What could not be observed from the beginning.
    unseen: VecDeque<Seen>,
}

impl Session {
    /// Starts to watch a lab. When this returns, every host was sampled once. What could not be observed
    /// comes first.
    pub async fn open(runtime: &dyn Runtime, lab: &str) -> Result<Self> {
        let (process, watch) = runtime.observe(lab).await?;
        let (observer, seen) = Observer::attach(process, &watch).await?;
        let mut session = Self { observer, tables: Tables::default(), watch, seen, unseen: VecDeque::new() };
        let first = session.look().await?;
        session.unseen =
            first.into_iter().filter(|seen| matches!(seen, Seen::ObservationLost { .. })).collect();
        Ok(session)
    }

    /// Returns the next observation, already applied to the tables. Safe to cancel.
    pub async fn next(&mut self) -> Result<Seen> {
        if let Some(unseen) = self.unseen.pop_front() {
            return Ok(unseen);
        }
        match self.seen.next().await {
            Some(seen) => Ok(self.take_in(seen)),
            None => Err(self.observer.lost()),
        }
    }

    /// Samples every host now and returns all observations until then, packets included.
    pub async fn look(&mut self) -> Result<Vec<Seen>> {
        self.observer.sample().await?;
        let mut all: Vec<Seen> = self.unseen.drain(..).collect();
        while let Some(seen) = self.seen.try_next() {
            all.push(self.take_in(seen));
        }
        if self.seen.are_over() { Err(self.observer.lost()) } else { Ok(all) }
    }

    /// Watches a host that was started again, as [`Runtime::start_host`] returned it. What was seen meanwhile
    /// is not lost: it comes with the next [`Self::look`].
    pub async fn watch_again(&mut self, host: &WatchedHost) -> Result<()> {
        self.watch.hosts.retain(|h| h.name != host.name);
        self.watch.hosts.push(host.clone());
        self.observer.watch(host).await
    }

    /// Waits until the tables satisfy `condition`; returns whether they did before the deadline.
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
