//! The stream to the reader, shared by all threads that write to it.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

/// The output for frames, each written as a whole.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Box<dyn Write + Send>>>);

impl Output {
    pub fn new(stream: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(stream))))
    }

    /// Writes frames and waits until they are accepted. If nobody reads any more, there is nothing left to
    /// observe for, and the program ends.
    pub fn send(&self, frames: &[u8]) {
        if frames.is_empty() {
            return;
        }
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.write_all(frames).and_then(|()| stream.flush()).is_err() {
            std::process::exit(0);
        }
    }
}
