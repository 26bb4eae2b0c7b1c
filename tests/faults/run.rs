//! Runs commands to their end, with a time limit.

use std::{
    fs::File,
    io::{Read, Seek},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Time limit of a command, whatever was done to it.
pub const LIMIT: Duration = Duration::from_secs(100);

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Returns its exit code, if it was not killed by a signal.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// A command's output: unnamed files, so that a process that still holds them keeps nobody waiting.
pub struct Streams([File; 2]);

impl Streams {
    /// Redirects a command's output to them.
    pub fn of(command: &mut Command) -> Self {
        let files = [(); 2].map(|()| tempfile::tempfile().unwrap());
        let [stdout, stderr] = files.each_ref().map(|file| Stdio::from(file.try_clone().unwrap()));
        command.stdout(stdout).stderr(stderr);
        Self(files)
    }

    /// Returns what it has printed.
    pub fn ended(self, status: ExitStatus) -> Ended {
        let [stdout, stderr] = self.0.map(|mut file| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ended { status, stdout, stderr }
    }
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Ended {
    finish_after(command, |_| Duration::MAX, |_| ())
}

/// The same; `strike` is called with the command's process after that time, if it still runs.
pub fn finish_after(
    command: &mut Command,
    after: impl FnOnce(Pid) -> Duration,
    strike: impl FnOnce(Pid),
) -> Ended {
    let streams = Streams::of(command);
    let child = command.stdin(Stdio::null()).spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    let end = end_of(child);
    let after = after(pid).min(LIMIT);
    if let Ok(status) = end.recv_timeout(after) {
        return streams.ended(status);
    }
    if after < LIMIT {
        strike(pid);
    }
    match end.recv_timeout(LIMIT) {
        Ok(status) => streams.ended(status),
        Err(_) => {
            let _ = kill(pid, Signal::SIGKILL);
            let said = streams.ended(end.recv().unwrap());
            panic!("{command:?} does not end: {said:?}");
        }
    }
}

/// Sends a child's end.
fn end_of(mut child: Child) -> mpsc::Receiver<ExitStatus> {
    let (tell, end) = mpsc::channel();
    std::thread::spawn(move || {
        // The receiver may be gone.
        let _ = tell.send(child.wait().unwrap());
    });
    end
}
