//! Changes asked of the engine, each of which comes to its end.
//!
//! An engine makes what it was asked for also when nobody waits for its answer any more. A lab that is
//! taken down at that moment would leave behind what does not yet show.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio_util::task::TaskTracker;

use crate::{Result, error::Context};

/// What is being changed, by lab.
#[derive(Default)]
pub struct Changes(Mutex<HashMap<String, TaskTracker>>);

impl Changes {
    /// Asks for a change of a lab, and gives the engine's answer. It comes to its end also where this
    /// future is dropped before.
    pub async fn ask<T: Send + 'static>(
        &self,
        lab: &str,
        change: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let asked = self.of(lab).spawn(change);
        asked.await.or_lab(|| "cannot wait for the docker engine")
    }

    /// Waits until everything that was asked for is made or refused.
    pub async fn settled(&self, lab: &str) {
        let changes = self.of(lab);
        changes.close();
        changes.wait().await;
        changes.reopen();
    }

    fn of(&self, lab: &str) -> TaskTracker {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(lab.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::{future, time::Duration};

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_change_that_nobody_waits_for_is_waited_for_by_down() {
        let changes = Changes::default();
        let (answer, answered) = oneshot::channel::<()>();
        let waiting = timeout(Duration::from_millis(1), changes.ask("a", answered)).await;
        assert!(waiting.is_err(), "whoever asked has gone");
        changes.settled("b").await;
        assert!(timeout(Duration::from_millis(1), changes.settled("a")).await.is_err());
        answer.send(()).unwrap();
        changes.settled("a").await;
        assert_eq!(changes.ask("a", future::ready(7)).await.unwrap(), 7, "and on it goes");
    }
}
