//! Work that may wait, on a thread of its own.

use std::{future::Future, io, thread};

use tokio::sync::oneshot;

/// Begins such work at once, and gives what comes of it. Where no thread can be had it is an error: tokio's own
/// `spawn_blocking` panics there.
pub fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = io::Result<T>> {
    let (tell, hear) = oneshot::channel();
    // Whoever waited may have gone.
    let begun = thread::Builder::new().spawn(move || drop(tell.send(work())));
    async move {
        begun?;
        hear.await.map_err(|_| io::Error::other("it ended without a word"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_begins_before_anybody_waits_and_a_panic_is_an_error() {
        let (tell, hear) = std::sync::mpsc::channel();
        let work = aside(move || tell.send(7));
        assert_eq!(hear.recv(), Ok(7));
        assert!(work.await.unwrap().is_ok());
        assert!(aside(|| std::panic::resume_unwind(Box::new(()))).await.is_err());
    }
}
