//! Following a run while it goes on.

use async_trait::async_trait;

use crate::{record::Record, timeline::Event};

/// Receives a run's events as they come. A closure is a watcher that never pauses.
#[async_trait]
pub trait Watcher: Send {
    /// Called when an event has its place in the record.
    fn event(&mut self, record: &Record, event: &Event);

    /// Whether to wait before each step.
    fn pauses(&self) -> bool {
        false
    }

    /// Waits until the next step may be performed. Every event so far has been passed on.
    async fn pause(&mut self) {}
}

impl<F: FnMut(&Record, &Event) + Send> Watcher for F {
    fn event(&mut self, record: &Record, event: &Event) {
        self(record, event);
    }
}
