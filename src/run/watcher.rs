//! Whoever watches a run while it goes on.

use async_trait::async_trait;

use crate::{record::Record, timeline::Event};

/// Gets a run's events as they come. A closure is a watcher that never pauses.
#[async_trait]
pub trait Watcher: Send {
    /// An event has its place in the record.
    fn event(&mut self, record: &Record, event: &Event);

    /// Whether to wait before each step.
    fn pauses(&self) -> bool {
        false
    }

    /// Waits until the next step may be done. Every event so far has been passed on.
    async fn pause(&mut self) {}
}

impl<F: FnMut(&Record, &Event) + Send> Watcher for F {
    fn event(&mut self, record: &Record, event: &Event) {
        self(record, event);
    }
}
