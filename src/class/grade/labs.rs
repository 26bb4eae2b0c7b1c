//! The names of the labs in which submissions are replayed: one per job, used by one submission after another.
//!
//! The names are derived from the folder of the grades, so that grading into it again finds and removes what an
//! earlier grading left when it was killed.

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

/// A lab's name, reserved until dropped.
pub struct Taken {
    name: String,
    free: Arc<Free>,
}

impl Labs {
    /// Makes as many names as there are jobs.
    pub fn new(out: &Path, jobs: usize) -> Self {
        let place = sha256(out.as_os_str().as_encoded_bytes());
        let prefix = format!("grade-{}-", &place[..8]);
        let all: Vec<String> = (1..=jobs.max(1)).map(|n| format!("{prefix}{n}")).collect();
        let free = Arc::new(Free { names: Mutex::new(all.clone()), given: Notify::new() });
        Self { prefix, all, free }
    }

    /// Reserves a free name.
    pub fn take(&self) -> Taken {
        let name = self.free.names().pop().unwrap_or_else(|| unreachable!("there are as many labs as jobs"));
        Taken { name, free: self.free.clone() }
    }

    /// Waits until all names are free again.
    pub async fn returned(&self) {
        loop {
            let given = self.free.given.notified();
            if self.free.names().len() == self.all.len() {
                return;
            }
            given.await;
        }
    }

    /// Takes down every lab that is up, including those of a killed grading with more jobs.
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
    /// Returns the lab's name.
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
