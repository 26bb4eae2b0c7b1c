//! The labs that submissions are replayed in: so many names, each used by one after the other.
//!
//! The names follow from the folder that the grades go to, so that grading into it again finds, and
//! clears, what was left when it was ended by force.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::{Result, digest::sha256, runtime::Runtime};

/// Names of labs.
pub struct Labs {
    prefix: String,
    all: Vec<String>,
    free: Arc<Free>,
}

struct Free {
    names: Mutex<Vec<String>>,
    given: Notify,
}

/// A lab's name that nobody else has, until dropped.
pub struct Taken {
    name: String,
    free: Arc<Free>,
}

impl Labs {
    /// As many as there are jobs.
    pub fn new(out: &Path, jobs: usize) -> Self {
        let place = sha256(out.as_os_str().as_encoded_bytes());
        let prefix = format!("grade-{}-", &place[..8]);
        let all: Vec<String> = (1..=jobs.max(1)).map(|n| format!("{prefix}{n}")).collect();
        let free = Arc::new(Free { names: Mutex::new(all.clone()), given: Notify::new() });
        Self { prefix, all, free }
    }

    /// One that nobody has now.
    pub fn take(&self) -> Taken {
        let name = self.free.names().pop().unwrap_or_else(|| unreachable!("there are as many labs as jobs"));
        Taken { name, free: self.free.clone() }
    }

    /// Waits until nobody has one any more.
    pub async fn returned(&self) {
        loop {
            let given = self.free.given.notified();
            if self.free.names().len() == self.all.len() {
                return;
            }
            given.await;
        }
    }

    /// Takes down every one that is up, also of a grading with more jobs that was ended by force.
    pub async fn clear(&self, runtime: &dyn Runtime) -> Result<()> {
        let up = runtime.labs().await?.into_iter().map(|lab| lab.plan.lab);
        let mut all: BTreeSet<String> = up.filter(|lab| lab.starts_with(&self.prefix)).collect();
        all.extend(self.all.iter().cloned());
        let gone = join_all(all.iter().map(|lab| runtime.down(lab))).await;
        gone.into_iter().collect::<Result<Vec<_>>>().map(drop)
    }
}

impl Free {
    fn names(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.free.names().push(std::mem::take(&mut self.name));
        self.free.given.notify_waiters();
    }
}
