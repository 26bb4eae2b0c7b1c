//! This machine's engine at another socket, where one request of many meets with a fault.

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

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered much later.
    Late,
    /// The engine says that it cannot.
    Refused,
    /// The connection ends, and the engine does not hear of it.
    Unheard,
    /// The connection ends, and the engine does it.
    Unanswered,
    /// The engine is gone from then on.
    Gone,
}

/// How late an answer is.
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
    /// Passes requests on; the n-th meets with the fault.
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

    /// As `DOCKER_HOST` names it.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Whether the fault has been met.
    pub fn was_met(&self) -> bool {
        self.passing.requests.load(Ordering::SeqCst) >= self.passing.nth
    }
}

impl Passing {
    /// Passes on what a client says, until one of the two ends it.
    fn serve(&self, client: &UnixStream) {
        let engine = UnixStream::connect(Path::new(SOCKET)).unwrap();
        let back = (engine.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            // However it ends, it ends the other side, too.
            let _ = std::io::copy(&mut &back.0, &mut &back.1);
            let _ = back.1.shutdown(Shutdown::Write);
        });
        let mut client_side = client;
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = client_side.read(&mut buffer) {
            let said = &buffer[..n];
            // One request at a time is on a connection, and its head comes in one piece.
            let begins = METHODS.iter().any(|method| said.starts_with(method));
            if begins && !self.passes(client) {
                let unanswered = self.fault == Fault::Unanswered && (&engine).write_all(said).is_ok();
                let _ = client.shutdown(Shutdown::Both);
                if unanswered {
                    // Until it has done it.
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

    /// Whether a request that has come goes on to the engine.
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
