//! An engine that can be stopped or made slow: this machine's, passed on at another socket.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// An engine behind a socket of its own.
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
    /// This machine's engine, at that socket too.
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

    /// As `DOCKER_HOST` names it.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Stops the engine as soon as a request has these words in it. It does not hear of that one.
    pub fn stop_when(&self, words: &[u8]) {
        self.lock().stop_when = Some(words.to_owned());
    }

    /// Ends the connection of each request that has these words in it, before the engine hears of it.
    pub fn refuse_when(&self, words: &[u8]) {
        self.lock().refuse_when = Some(words.to_owned());
    }

    /// Holds requests back that have these words in them, until `go_on`.
    pub fn hold_when(&self, words: &[u8]) {
        self.lock().hold_when = Some(words.to_owned());
    }

    /// Waits until such a request has come.
    pub fn wait_until_it_holds(&self) {
        drop(self.changed.wait_while(self.lock(), |state| !state.holds).unwrap());
    }

    /// Lets them pass.
    pub fn go_on(&self) {
        self.lock().hold_when = None;
        self.changed.notify_all();
    }

    /// Ends every connection, and takes no more.
    pub fn stop(&self) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.stopped, true) {
            return;
        }
        std::fs::remove_file(&self.socket).unwrap();
        for stream in &state.streams {
            // Its other end may have gone already.
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
            // However it ends, it ends the other side, too.
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

/// Whether a request has these words in it.
fn has(request: &[u8], words: Option<&[u8]>) -> bool {
    words.is_some_and(|words| request.windows(words.len()).any(|window| window == words))
}
