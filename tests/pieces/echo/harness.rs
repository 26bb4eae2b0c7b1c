//! The two programs, run by a test. Whatever is started here ends with the test.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procfs::{
    net::{TcpNetEntry, TcpState},
    process::{Stat, all_processes},
};

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running `tcpechod`, on a port that the kernel chose.
pub struct Server {
    child: Child,
    port: u16,
    output: Receiver<String>,
    errors: Receiver<String>,
}

impl Server {
    /// Starts it with these options, on a free port, and waits until it listens.
    pub fn start(options: &[&str]) -> Self {
        Self::start_on("0", options)
    }

    /// Starts it on that port and waits until it listens.
    pub fn start_on(port: &str, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tcpechod"))
            .args(options)
            .arg(port)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = lines(child.stdout.take().unwrap());
        let errors = lines(child.stderr.take().unwrap());
        let mut server = Self { child, port: 0, output, errors };
        let waiting = server.line();
        let port = waiting.strip_prefix("waiting for connections on port ").expect(&waiting);
        server.port = port.parse().unwrap();
        server
    }

    pub fn port(&self) -> String {
        self.port.to_string()
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The next line of its standard output.
    pub fn line(&self) -> String {
        self.output.recv_timeout(DEADLINE).expect("a line of standard output")
    }

    /// The next line of its standard error.
    pub fn error(&self) -> String {
        self.errors.recv_timeout(DEADLINE).expect("a line of standard error")
    }

    /// Opens a connection that the server has accepted, and discards what it printed until then.
    pub fn connect(&self) -> TcpStream {
        let stream = self.dial();
        let accepted = format!("connection from 127.0.0.1 port {}", stream.local_addr().unwrap().port());
        while self.line() != accepted {}
        stream
    }

    /// Opens a connection that may still wait in the server's queue, which is short: when it is full,
    /// the kernel drops the SYN and the client tries again a second later.
    pub fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Its children, including zombies.
    pub fn children(&self) -> Vec<Stat> {
        let stats = all_processes().unwrap().filter_map(|p| p.ok()?.stat().ok());
        stats.filter(|stat| stat.ppid == self.pid()).collect()
    }

    /// How many descriptors it holds.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Its sockets on the server's side of the table.
    pub fn sockets(&self) -> Vec<TcpNetEntry> {
        let port = self.port;
        procfs::net::tcp().unwrap().into_iter().filter(|row| row.local_address.port() == port).collect()
    }

    /// How many connections wait to be accepted.
    pub fn queued(&self) -> u32 {
        self.sockets().iter().find(|row| row.state == TcpState::Listen).unwrap().rx_queue
    }

    /// How many of its children are zombies.
    pub fn zombies(&self) -> usize {
        self.children().iter().filter(|child| child.state == 'Z').count()
    }

    pub fn stat(&self) -> Stat {
        procfs::process::Process::new(self.pid()).unwrap().stat().unwrap()
    }

    pub fn is_alive(&self) -> bool {
        self.stat().state != 'Z'
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Stops it, and waits until it is stopped: a signal takes time.
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        until("the server is stopped", || self.stat().state == 'T');
    }

    pub fn signal_children(&self, signal: Signal) {
        for child in self.children() {
            // One may just have been reaped.
            let _ = kill(Pid::from_raw(child.pid), signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal_children(Signal::SIGKILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `tcpecho`, whose input comes from the test.
pub struct Client(Child);

impl Client {
    pub fn start(port: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpecho"));
        command.args(["127.0.0.1", port]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    pub fn type_in(&mut self, line: &str) {
        self.0.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Types a line and reads as much back.
    pub fn echo(&mut self, line: &str) -> String {
        self.type_in(line);
        let mut back = vec![0; line.len()];
        self.0.stdout.as_mut().unwrap().read_exact(&mut back).unwrap();
        String::from_utf8(back).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end; its input stays open until then.
    pub fn wait(mut self) -> Output {
        let input = self.0.stdin.take();
        let output = self.0.wait_with_output().unwrap();
        drop(input);
        output
    }
}

/// Sends bytes and reads as many back.
pub fn echo(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    back
}

/// Waits until a condition holds. Only a parent is notified when a zombie goes away, so this polls.
pub fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < DEADLINE, "never so: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The lines of a stream, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    receiver
}
