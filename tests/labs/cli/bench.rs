//! A lab that was started by typing `netlab up`, and the commands typed to it.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use assert_cmd::assert::Assert;
use netlab::runtime::RuntimeKind;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::support::unique;

/// No command here takes longer, except the first `up` on Docker, which may build the image.
const LIMIT: Duration = Duration::from_secs(30);

/// A lab, by its name.
pub struct Bench {
    pub lab: String,
    pub kind: RuntimeKind,
}

static SHARED: [OnceLock<Bench>; 2] = [OnceLock::new(), OnceLock::new()];

impl Bench {
    /// A name that no lab has yet.
    pub fn new(kind: RuntimeKind) -> Self {
        Self { lab: unique("c"), kind }
    }

    /// The lab shared by several cases.
    pub fn shared(kind: RuntimeKind) -> &'static Self {
        SHARED[usize::from(kind == RuntimeKind::Docker)].get_or_init(|| {
            let bench = Self::new(kind);
            let up = bench.command(&["up"]).output().unwrap();
            assert!(up.status.success(), "{}", text(&up.stderr));
            bench.wait_for(&["logs", "server"], "8007");
            bench
        })
    }

    /// Statics are never dropped.
    pub fn take_down_shared() {
        for bench in SHARED.iter().filter_map(OnceLock::get) {
            bench.runs(&["down"]);
        }
    }

    /// A command for this lab.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
        command.args(arguments).env("NETLAB_LAB", &self.lab).env("NETLAB_RUNTIME", self.kind.to_string());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Assert {
        assert_cmd::Command::from_std(self.command(arguments)).timeout(LIMIT).assert()
    }

    /// Returns what a command prints that must succeed.
    pub fn runs(&self, arguments: &[&str]) -> String {
        text(&self.run(arguments).success().get_output().stdout)
    }

    /// Like that, as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.runs(arguments)).unwrap()
    }

    /// Returns what a command prints on standard error that must fail with this code.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        text(&self.run(arguments).code(code).get_output().stderr)
    }

    /// Runs a command again until its output has this text.
    pub fn wait_for(&self, arguments: &[&str], expected: &str) -> String {
        let said = || Some(text(&self.run(arguments).get_output().stdout)).filter(|s| s.contains(expected));
        eventually(expected, said)
    }

    /// Starts a command and leaves it running.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }
}

/// A running command, ended when dropped.
pub struct Running(pub Child);

impl Running {
    /// Reads its output until a line has this text, and returns the line.
    pub fn read_until(&mut self, expected: &str) -> String {
        let stdout = self.0.stdout.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        // Byte by byte, so that the rest is left for later reads.
        while stdout.read(&mut byte).unwrap() == 1 {
            if byte != *b"\n" {
                line.extend(byte);
                continue;
            }
            if text(&line).contains(expected) {
                return text(&line);
            }
            line.clear();
        }
        panic!("{expected:?} never came");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end; returns its exit code and the rest of its output.
    pub fn finish(mut self) -> (Option<i32>, Vec<u8>, String) {
        drop(self.0.stdin.take());
        let (mut out, mut err) = (Vec::new(), String::new());
        self.0.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_string(&mut err).unwrap();
        }
        (self.0.wait().unwrap().code(), out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may already have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tries again until there is a result.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        std::thread::yield_now();
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
