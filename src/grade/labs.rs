//! The labs that submissions are replayed in: so many names, each used by one after the other.
//!
//! The names follow from the folder that the grades go to, so that grading into it again finds, and
//! clears, what was left when it was ended by force.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, PoisonError},
};

use futures_util::future::join_all;

use crate::{Result, digest::sha256, runtime::Runtime};

/// Names of labs.
pub struct Labs {
    prefix: String,
    all: Vec<String>,
    free: Mutex<Vec<String>>,
}

impl Labs {
    /// As many as there are jobs.
    pub fn new(out: &Path, jobs: usize) -> Self {
        let place = sha256(out.as_os_str().as_encoded_bytes());
        let prefix = format!("grade-{}-", &place[..8]);
        let all: Vec<String> = (1..=jobs.max(1)).map(|n| format!("{prefix}{n}")).collect();
        Self { free: Mutex::new(all.clone()), all, prefix }
    }

    /// One that nobody has now.
    pub fn take(&self) -> String {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_else(|| unreachable!("there are as many labs as jobs"))
    }

    /// It is free again.
    pub fn give(&self, lab: String) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(lab);
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
