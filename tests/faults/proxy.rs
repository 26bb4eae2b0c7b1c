//! A proxy to this machine's engine, in which one request of many meets a fault.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use crate::docker::SOCKET;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered much later.
    Late,
    /// The engine reports a failure.
    Refused,
    /// The connection is closed, and the request does not reach the engine.
    Unheard,
    /// The connection is closed, and the engine carries out the request.
    Unanswered,
    /// The engine is gone from then on.
    Gone,
}

/// Delay of a late answer.
const LATE: Duration = Duration::from_secs(3);
const REFUSAL: &str = "{\"message\":\"the engine is out of order\"}";
const METHODS: [&[u8]; 5] = [b"GET /", b"POST /", b"PUT /", b"DELETE /", b"HEAD /"];

pub struct Proxy {
    socket: PathBuf,
    passing: Arc<Passing>,
}

struct Passing {
    fault: Fault,
    nth: usize,
    requests: AtomicUsize,
}

impl Proxy {
    /// Forwards requests; the n-th meets the fault.
    pub fn new(socket: PathBuf, fault: Fault, nth: usize) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let passing = Arc::new(Passing { fault, nth, requests: AtomicUsize::new(0) });
        let of_listener = passing.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                let passing = of_listener.clone();
                std::thread::spawn(move || passing.serve(&client));
            }
        });
        Self { socket, passing }
    }

    /// Returns the value for `DOCKER_HOST`.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Returns whether the fault was met.
    pub fn was_met(&self) -> bool {
        self.passing.requests.load(Ordering::SeqCst) >= self.passing.nth
    }
}

impl Passing {
    /// Forwards a client's requests until either side ends.
    fn serve(&self, client: &UnixStream) {
        let engine = UnixStream::connect(Path::new(SOCKET)).unwrap();
        let back = (engine.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            // However one side ends, the other ends, too.
            let _ = std::io::copy(&mut &back.0, &mut &back.1);
            let _ = back.1.shutdown(Shutdown::Write);
        });
        let mut client_side = client;
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = client_side.read(&mut buffer) {
            let said = &buffer[..n];
            // A connection carries one request at a time, and its head arrives in one piece.
            let begins = METHODS.iter().any(|method| said.starts_with(method));
            if begins && !self.passes(client) {
                let unanswered = self.fault == Fault::Unanswered && (&engine).write_all(said).is_ok();
                let _ = client.shutdown(Shutdown::Both);
                if unanswered {
                    // Wait until the engine has done it.
                    let _ = (&engine).read(&mut buffer);
                }
                let _ = engine.shutdown(Shutdown::Both);
                return;
            }
            if (&engine).write_all(said).is_err() {
                break;
            }
        }
        let _ = engine.shutdown(Shutdown::Write);
    }

    /// Returns whether a request is forwarded to the engine.
    fn passes(&self, mut client: &UnixStream) -> bool {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if number < self.nth || number > self.nth && self.fault != Fault::Gone {
            return true;
        }
        match self.fault {
            Fault::Late => {
                let (_tell, never) = mpsc::channel::<()>();
                let _ = never.recv_timeout(LATE);
                return true;
            }
            Fault::Refused => {
                let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close";
                let _ = write!(client, "{head}\r\nContent-Length: {}\r\n\r\n{REFUSAL}", REFUSAL.len());
            }
            Fault::Unheard | Fault::Unanswered | Fault::Gone => {}
        }
        false
    }
}
