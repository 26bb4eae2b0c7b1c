//! Runs blocking work on its own thread.

use std::{future::Future, io, thread};

use tokio::sync::oneshot;

/// Starts blocking work at once and returns a future for its result. If no thread can be created, this is an
/// error, where tokio's `spawn_blocking` panics.
pub fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = io::Result<T>> {
    let (result, receiver) = oneshot::channel();
    // The receiver may be gone.
    let begun = thread::Builder::new().spawn(move || drop(result.send(work())));
    async move {
        begun?;
        receiver.await.map_err(|_| io::Error::other("the thread ended without a result"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_begins_before_anybody_waits_and_a_panic_is_an_error() {
        let (result, receiver) = std::sync::mpsc::channel();
        let work = aside(move || result.send(7));
        assert_eq!(receiver.recv(), Ok(7));
        assert!(work.await.unwrap().is_ok());
        assert!(aside(|| std::panic::resume_unwind(Box::new(()))).await.is_err());
    }
}
