//! A queue of observations, limited in size: a lab may produce packets faster than the reader takes them, and
//! must not fill the reader's memory with them.
//!
//! When the queue is full, packets are dropped, and of each table only the latest is kept, until the reader
//! has taken everything before. It then learns how much it missed, and gets those tables: it never continues
//! with an outdated one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::Seen;
use crate::time::Nanos;

/// Maximum size of the queue, in bytes of memory: about 20,000 packets of full size.
const MOST: usize = 32 << 20;

/// Creates a queue and returns its two ends.
pub(super) fn queue() -> (Sighter, Sightings) {
    let shared = Arc::new(Shared::default());
    (Sighter(shared.clone()), Sightings(shared))
}

/// The sending end. When it is dropped, nothing more will come.
pub(super) struct Sighter(Arc<Shared>);

/// The receiving end: what an observer has seen, in order.
pub struct Sightings(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Seen>,
    /// Their size, in bytes.
    size: usize,
    missed: Option<Missed>,
    /// Nothing more will come.
    over: bool,
    /// The receiving end was dropped.
    unread: bool,
}

/// What did not fit.
struct Missed {
    since: Nanos,
    packets: u64,
    tables: u64,
    /// The latest table of each kind and host, and which hosts are gone.
    latest: Vec<Seen>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sighter {
    /// Adds an observation. Never waits.
    pub fn put(&self, seen: Seen) {
        let mut state = self.0.lock();
        if !state.unread {
            state.put(seen);
            self.0.news.notify_one();
        }
    }
}

impl Drop for Sighter {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.news.notify_one();
    }
}

impl Sightings {
    /// Returns the next observation; `None` once the observer has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<Seen> {
        loop {
            let news = self.0.news.notified();
            {
                let mut state = self.0.lock();
                if let Some(seen) = state.take() {
                    return Some(seen);
                }
                if state.over {
                    return None;
                }
            }
            news.await;
        }
    }

    /// Returns the next observation, if there is one.
    pub fn try_next(&mut self) -> Option<Seen> {
        self.0.lock().take()
    }

    /// Returns whether everything was taken and nothing more will come.
    pub fn are_over(&self) -> bool {
        let state = self.0.lock();
        state.over && state.waiting.is_empty() && state.missed.is_none()
    }
}

impl Drop for Sightings {
    fn drop(&mut self) {
        *self.0.lock() = State { unread: true, ..State::default() };
    }
}

impl State {
    fn put(&mut self, seen: Seen) {
        let size = seen.size();
        if self.missed.is_none() && self.size + size <= MOST {
            self.size += size;
            self.waiting.push_back(seen);
        } else {
            self.missed.get_or_insert_with(|| Missed::since(seen.at())).add(seen);
        }
    }

    fn take(&mut self) -> Option<Seen> {
        if let Some(seen) = self.waiting.pop_front() {
            self.size -= seen.size();
            return Some(seen);
        }
        let missed = self.missed.take()?;
        let why = missed.in_words();
        self.size = missed.latest.iter().map(Seen::size).sum();
        self.waiting = missed.latest.into();
        Some(Seen::ObservationLost { at: missed.since, why })
    }
}

impl Missed {
    fn since(since: Nanos) -> Self {
        Self { since, packets: 0, tables: 0, latest: Vec::new() }
    }

    fn add(&mut self, seen: Seen) {
        match seen {
            Seen::Packet(_) => self.packets += 1,
            // One is sent in any case.
            Seen::ObservationLost { .. } => {}
            seen => {
                let before = self.latest.len();
                self.latest.retain(|old| !old.is_outdated_by(&seen));
                self.tables += (before - self.latest.len()) as u64;
                self.latest.push(seen);
            }
        }
    }

    fn in_words(&self) -> String {
        let (packets, tables) = (self.packets, self.tables);
        format!(
            "{packets} packets and {tables} tables arrived faster than they could be processed, and were dropped"
        )
    }
}

impl Seen {
    /// When.
    fn at(&self) -> Nanos {
        match self {
            Self::Packet(packet) => packet.at,
            Self::Processes { at, .. }
            | Self::Sockets { at, .. }
            | Self::Gone { at, .. }
            | Self::ObservationLost { at, .. } => *at,
        }
    }

    /// Returns its size in memory, in bytes.
    fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Packet(packet) => packet.data.len(),
                Self::Processes { rows, .. } => rows.iter().map(super::ProcessRow::size).sum(),
                Self::Sockets { rows, .. } => rows.iter().map(crate::kernel::SocketRow::size).sum(),
                Self::Gone { .. } => 0,
                Self::ObservationLost { why, .. } => why.len(),
            }
    }

    /// Returns whether `newer` replaces this observation.
    fn is_outdated_by(&self, newer: &Self) -> bool {
        match (self, newer) {
            (Self::Processes { host: old, .. }, Self::Processes { host: new, .. })
            | (Self::Sockets { host: old, .. }, Self::Sockets { host: new, .. })
            | (Self::Gone { host: old, .. }, Self::Gone { host: new, .. }) => old == new,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{capture::RawPacket, observer::render::tests::process};

    fn packet(at: Nanos) -> Seen {
        Seen::Packet(RawPacket { segment: 0, at, original_len: 1500, data: vec![0; 1500] })
    }

    fn processes(at: Nanos, host: &str, count: usize) -> Seen {
        Seen::Processes { at, host: host.into(), rows: vec![process(1, 0, "lab-init"); count] }
    }

    fn taken(sightings: &mut Sightings) -> Vec<Seen> {
        std::iter::from_fn(|| sightings.try_next()).collect()
    }

    #[test]
    fn a_flood_is_dropped_and_counted_and_the_latest_tables_stay() {
        let (sighter, mut sightings) = queue();
        for at in 0..100_000 {
            sighter.put(packet(at));
            if at % 10_000 == 9_999 {
                sighter.put(processes(at, "server", usize::try_from(at / 10_000).unwrap() + 1));
                sighter.put(processes(at, "client", 1));
            }
        }
        sighter.put(Seen::Gone { at: 100_000, host: "client".into() });
        assert!(sightings.0.lock().size <= MOST);

        let all = taken(&mut sightings);
        let packets = all.iter().filter(|seen| matches!(seen, Seen::Packet(_))).count();
        let blind = all.iter().position(|seen| matches!(seen, Seen::ObservationLost { .. })).unwrap();
        let Seen::ObservationLost { at, why } = &all[blind] else { unreachable!() };
        assert!((15_000..25_000).contains(&packets), "{packets}");
        assert_eq!(*at, packets as u64);
        assert!(why.starts_with(&format!("{} packets and ", 100_000 - packets)), "{why}");
        let [Seen::Processes { rows, host, .. }, Seen::Processes { host: other, .. }, Seen::Gone { .. }] =
            &all[blind + 1..]
        else {
            panic!("{:?}", &all[blind + 1..]);
        };
        assert_eq!((host.as_str(), rows.len(), other.as_str()), ("server", 10, "client"));

        sighter.put(packet(7));
        assert!(matches!(taken(&mut sightings)[..], [Seen::Packet(_)]), "then it continues");
    }

    #[tokio::test]
    async fn it_ends_after_what_was_put_in() {
        let (sighter, mut sightings) = queue();
        sighter.put(packet(1));
        drop(sighter);
        assert!(!sightings.are_over());
        assert!(sightings.next().await.is_some());
        assert!(sightings.next().await.is_none() && sightings.are_over());
    }

    #[tokio::test]
    async fn who_waits_hears_of_it() {
        let (sighter, mut sightings) = queue();
        let waiting = tokio::spawn(async move { (sightings.next().await, sightings.next().await) });
        tokio::task::yield_now().await;
        sighter.put(packet(1));
        tokio::task::yield_now().await;
        drop(sighter);
        assert!(matches!(waiting.await.unwrap(), (Some(Seen::Packet(_)), None)));
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let (sighter, sightings) = queue();
        sighter.put(packet(1));
        drop(sightings);
        sighter.put(packet(2));
        assert!(sighter.0.lock().waiting.is_empty());
    }
}
