//! Two hosts, `server` (198.18.0.1) and `client` (198.18.0.2), on a bridge in a separate namespace, built
//! with nothing but util-linux and iproute2. It vanishes with its last process.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use async_trait::async_trait;
use netlab::{
    Result,
    capture::Interface,
    kernel::ExitStatus,
    runtime::{Handle, Process, TerminalSize, Watch, WatchedHost},
};

use super::skip::skipped;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The options of `unshare` that make its program a host.
const HOST: [&str; 4] = ["--net", "--pid", "--fork", "--kill-child"];

pub struct Room {
    switch: Child,
    hosts: BTreeMap<&'static str, (Child, i32)>,
}

impl Room {
    /// Opens a room; `None`, with a message, without the necessary privileges.
    pub fn open() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skipped("making hosts needs root");
            return None;
        }
        let (switch, _) = namespace(&["--net"]);
        let mut room = Self { switch, hosts: BTreeMap::new() };
        room.ip("link add br0 type bridge");
        room.ip("link set br0 up");
        for (name, address) in [("server", "198.18.0.1/24"), ("client", "198.18.0.2/24")] {
            let (child, init) = namespace(&["--net", "--pid", "--fork", "--mount-proc", "--kill-child"]);
            room.hosts.insert(name, (child, init));
            room.ip(&format!("link add {name} type veth peer name eth0 netns {init}"));
            room.ip(&format!("link set {name} master br0 up"));
            for arguments in [format!("addr add {address} dev eth0"), "link set eth0 up".into()] {
                let words = arguments.split(' ');
                assert!(room.command(name).arg("ip").args(words).status().unwrap().success());
            }
        }
        Some(room)
    }

    fn ip(&self, arguments: &str) {
        let switch = format!("--net=/proc/{}/ns/net", self.switch.id());
        let words = arguments.split(' ');
        assert!(Command::new("nsenter").arg(switch).arg("ip").args(words).status().unwrap().success());
    }

    /// Returns a command to run on a host, still without its arguments.
    fn command(&self, host: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.hosts[host].1.to_string(), "--net", "--pid", "--mount"]);
        command
    }

    /// Returns the output of a command on a host.
    pub fn output(&self, host: &str, argv: &[&str]) -> String {
        let output = self.command(host).args(argv).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a Perl program on a host.
    #[must_use]
    pub fn perl(&self, host: &str, source: &str) -> Program {
        let mut command = self.command(host);
        command.args(["perl", "-MIO::Socket", "-e", source]);
        Program::start(command)
    }

    /// Starts another host without links: a Perl program is its PID 1.
    #[must_use]
    pub fn host(options: &[&str], source: &str, argument: &Path) -> Program {
        let mut command = Command::new("unshare");
        command.args(HOST).args(options).args(["perl", "-e", source]).arg(argument);
        Program::start(command)
    }

    /// The same in a separate user namespace, whose ids are the machine's from `first` on. The program prints
    /// `up`.
    #[must_use]
    pub fn mapped_host(first: u32, source: &str) -> Program {
        let mut holder = Command::new("unshare");
        holder.args(["--user", "sh", "-c", "echo up; read end"]);
        let mut holder = Program::start(holder);
        assert_eq!(holder.line(), "up\n");
        let holder_at = format!("/proc/{}", holder.child.id());
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("{holder_at}/{map}"), format!("0 {first} 65536")).unwrap();
        }
        let mut command = Command::new("nsenter");
        command.args([&format!("--user={holder_at}/ns/user"), "--setuid=0", "--setgid=0", "unshare"]);
        command.args(HOST).args(["--mount-proc", "perl", "-e", source]);
        let mut host = Program::start(command);
        assert_eq!(host.line(), "up\n");
        host
    }

    /// Kills a host's PID 1, and with it the host.
    pub fn kill(&mut self, host: &str) {
        let (child, init) = self.hosts.get_mut(host).unwrap();
        kill(Pid::from_raw(*init), Signal::SIGKILL).unwrap();
        // `unshare` ends once it has noticed that.
        child.wait().unwrap();
    }

    pub fn watch(&self) -> Watch {
        let hosts = self.hosts.iter().rev();
        let hosts = hosts.map(|(name, (_, init))| WatchedHost { name: (*name).into(), init: *init });
        let segment = Interface { name: "lan".into(), device: "br0".into() };
        Watch { hosts: hosts.collect(), segments: vec![segment] }
    }

    /// Returns the command `netlab observe`, run where the bridge is.
    pub fn observe_command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.switch.id()));
        command.args([env!("CARGO_BIN_EXE_netlab"), "observe"]);
        command
    }

    /// Starts it.
    pub fn observe(&self) -> Process {
        let mut command = tokio::process::Command::from(self.observe_command());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Process {
            pid: child.id().unwrap().cast_signed(),
            stdin: Box::new(child.stdin.take().unwrap()),
            stdout: Box::new(child.stdout.take().unwrap()),
            stderr: Box::new(child.stderr.take().unwrap()),
            handle: Box::new(Observing(child)),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for (child, _) in self.hosts.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = self.switch.kill();
        let _ = self.switch.wait();
    }
}

/// Starts a process in new namespaces that waits for its end; returns it with the pid of what runs inside.
fn namespace(options: &[&str]) -> (Child, i32) {
    let mut command = Command::new("unshare");
    command.args(options).args(["sh", "-c", "echo up; exec sleep infinity"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let id = child.id();
    let inner = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    (child, inner.trim().parse().unwrap_or(0))
}

/// A program on a host.
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// Returns the next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Closes its input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Returns its pid here: `nsenter` stays and waits for its child, the program.
    pub fn id(&self) -> i32 {
        let id = self.child.id();
        let inner = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        inner.trim().parse().unwrap()
    }
}

impl Drop for Program {
    /// Ends `nsenter`; the program itself ends with its host.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Observing(tokio::process::Child);

#[async_trait]
impl Handle for Observing {
    async fn wait(&mut self) -> Result<ExitStatus> {
        let code = self.0.wait().await.ok().and_then(|s| s.code()).unwrap_or(255);
        Ok(ExitStatus::Exited(u8::try_from(code).unwrap_or(255)))
    }

    async fn resize(&self, _: TerminalSize) -> Result<()> {
        Ok(())
    }
}
