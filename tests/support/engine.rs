//! A proxy to this machine's engine, which can be stopped or slowed down.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// An engine behind a proxy's socket.
#[derive(Clone)]
pub struct PassedOn {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

#[derive(Default)]
struct State {
    streams: Vec<UnixStream>,
    stopped: bool,
    stop_when: Option<Vec<u8>>,
    refuse_when: Option<Vec<u8>>,
    hold_when: Option<Vec<u8>>,
    holds: bool,
}

impl State {
    fn hold(&mut self, request: &[u8]) -> bool {
        let holds = has(request, self.hold_when.as_deref());
        self.holds |= holds;
        holds
    }
}

impl PassedOn {
    /// Makes this machine's engine available at that socket, too.
    pub fn at(socket: PathBuf) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let engine = Self { socket, state: Arc::default(), changed: Arc::default() };
        let passing = engine.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                passing.serve(client);
            }
        });
        engine
    }

    /// Returns the value for `DOCKER_HOST`.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Stops the engine as soon as a request contains these words. That request does not reach it.
    pub fn stop_when(&self, words: &[u8]) {
        self.lock().stop_when = Some(words.to_owned());
    }

    /// Closes the connection of each request that contains these words, before it reaches the engine.
    pub fn refuse_when(&self, words: &[u8]) {
        self.lock().refuse_when = Some(words.to_owned());
    }

    /// Holds back requests that contain these words, until `go_on`.
    pub fn hold_when(&self, words: &[u8]) {
        self.lock().hold_when = Some(words.to_owned());
    }

    /// Waits until such a request has arrived.
    pub fn wait_until_it_holds(&self) {
        drop(self.changed.wait_while(self.lock(), |state| !state.holds).unwrap());
    }

    /// Releases them.
    pub fn go_on(&self) {
        self.lock().hold_when = None;
        self.changed.notify_all();
    }

    /// Closes every connection, and accepts no more.
    pub fn stop(&self) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.stopped, true) {
            return;
        }
        std::fs::remove_file(&self.socket).unwrap();
        for stream in &state.streams {
            // The other end may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, client: UnixStream) {
        let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
        self.lock().streams.extend([client.try_clone().unwrap(), engine.try_clone().unwrap()]);
        let back = (engine.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            // However one side ends, the other ends, too.
            let _ = std::io::copy(&mut &back.0, &mut &back.1);
            let _ = back.1.shutdown(Shutdown::Write);
        });
        let passing = self.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = (&client).read(&mut buffer) {
                if has(&buffer[..n], passing.lock().stop_when.as_deref()) {
                    passing.stop();
                }
                if has(&buffer[..n], passing.lock().refuse_when.as_deref()) {
                    let _ = client.shutdown(Shutdown::Both);
                    let _ = engine.shutdown(Shutdown::Both);
                    return;
                }
                passing.hold(&buffer[..n]);
                let stopped = passing.lock().stopped;
                if stopped || (&engine).write_all(&buffer[..n]).is_err() {
                    return;
                }
            }
            let _ = engine.shutdown(Shutdown::Write);
        });
    }

    fn hold(&self, request: &[u8]) {
        let mut state = self.lock();
        while state.hold(request) {
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap();
        }
    }
}

/// Returns whether a request contains these words.
fn has(request: &[u8], words: Option<&[u8]>) -> bool {
    words.is_some_and(|words| request.windows(words.len()).any(|window| window == words))
}
