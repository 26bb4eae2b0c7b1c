//! The grounds for attacks: namespaces as root, namespaces as an ordinary user, with and without a range of
//! ids in `/etc/subuid`, and Docker.

#![allow(dead_code, reason = "each file of attacks uses its own part")]
use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;

/// The ordinary user: an id that the machine does not use.
const USER: u32 = 4545;

/// The ordinary user's line in files such as `/etc/passwd`, and the user's range of ids: these are mounted
/// over the machine's own files, in a separate mount namespace of the command.
const ACCOUNT: &str = "attacker:x:4545:4545::/nowhere:/bin/sh\n";
const RANGE: &str = "attacker:700000:65536\n";

/// Mounts a folder's files over the machine's, and becomes the user.
const WITH_RANGE: &str = "set -e; for name in passwd subuid subgid; do mount --bind \"$0/$name\" /etc/$name; done; \
                          exec setpriv --reuid 4545 --regid 4545 --clear-groups -- \"$@\"";

/// The programs copied for a user who may not enter the build folder.
const PROGRAMS: [&str; 6] = ["netlab", "lab-init", "tcpechod", "tcpecho", "processes", "threads"];

/// One way to run labs on this machine.
#[derive(Clone)]
pub struct Ground {
    /// Prefix of test names.
    pub name: &'static str,
    /// The runtime, as `--runtime` takes it.
    pub runtime: &'static str,
    /// The user that netlab runs as, if not this one.
    user: Option<u32>,
    /// Whether that user has a range of ids.
    has_range: bool,
    /// Holds copies of the programs, a home and the state of labs.
    room: Arc<TempDir>,
    /// Why this machine does not offer it, if it does not.
    missing: Option<String>,
}

/// A program's output and exit code.
#[derive(Debug)]
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }
}

impl Ground {
    /// Returns every ground. One that this machine does not offer is included, with its tests ignored.
    pub fn each() -> Vec<Self> {
        let root = nix::unistd::geteuid().is_root();
        let mut all = vec![Self::new("docker", "docker", None, false)];
        if root {
            all.push(Self::new("namespaces-root", "namespaces", None, false));
            all.push(Self::ordinary_user());
            all.push(Self::new("namespaces-range", "namespaces", Some(USER), true));
        } else {
            all.push(Self::new("namespaces-user", "namespaces", None, false));
        }
        all
    }

    /// Namespaces, as an ordinary user that root switches to.
    pub fn ordinary_user() -> Self {
        Self::new("namespaces-user", "namespaces", Some(USER), false)
    }

    /// Returns whether this machine offers it.
    pub fn is_there(&self) -> bool {
        self.missing.is_none()
    }

    fn new(name: &'static str, runtime: &'static str, user: Option<u32>, has_range: bool) -> Self {
        let room = tempfile::tempdir().unwrap();
        fs::set_permissions(room.path(), Permissions::from_mode(0o755)).unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_netlab")).parent().unwrap();
        fs::create_dir(room.path().join("bin")).unwrap();
        for program in PROGRAMS {
            fs::copy(built.join(program), room.path().join("bin").join(program)).unwrap();
        }
        let home = room.path().join("home");
        fs::create_dir(&home).unwrap();
        chown(&home, user, user).unwrap();
        if has_range {
            let accounts = fs::read_to_string("/etc/passwd").unwrap() + ACCOUNT;
            for (name, text) in [("passwd", accounts.as_str()), ("subuid", RANGE), ("subgid", RANGE)] {
                fs::write(room.path().join(name), text).unwrap();
            }
        }
        let mut ground = Self { name, runtime, user, has_range, room: Arc::new(room), missing: None };
        ground.missing = if has_range && !Path::new("/usr/bin/newuidmap").exists() {
            Some("no newuidmap".to_owned())
        } else {
            ground.refusal()
        };
        ground
    }

    /// Returns why the runtime is unavailable, according to `netlab up`.
    fn refusal(&self) -> Option<String> {
        let lab = unique();
        let up = self.run(&["up", "--lab", &lab]);
        self.run(&["down", "--lab", &lab]);
        (up.code != 0).then(|| {
            let error = up.stderr.lines().find(|line| line.starts_with("error"));
            error.unwrap_or_default().to_owned()
        })
    }

    /// Returns a test on this ground. If this machine does not offer it, the test is ignored and its name
    /// says why.
    pub fn trial(&self, name: &str, attack: fn(&Self)) -> Trial {
        self.trial_of(name, move |ground| {
            attack(ground);
            Ok(())
        })
    }

    /// The same for a test that returns whether it failed.
    pub fn trial_of(
        &self,
        name: &str,
        test: impl FnOnce(&Self) -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        let why = self.missing.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let ground = self.clone();
        let run = move || test(&ground);
        Trial::test(format!("{}{why}::{name}", self.name), run).with_ignored_flag(self.missing.is_some())
    }

    /// Returns whether netlab runs as root here.
    pub fn is_root(&self) -> bool {
        self.user.is_none() && nix::unistd::geteuid().is_root()
    }

    /// Returns the user that netlab runs as here, if not this one.
    pub fn user(&self) -> Option<u32> {
        self.user
    }

    /// Returns a `netlab` command with these arguments, run as the ground's user in that user's home with a
    /// clean environment.
    pub fn netlab(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.program());
        command.args(arguments);
        command
    }

    /// Returns a command for any program of the machine, run in the same way.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let home = self.home();
        let mut command = if self.has_range {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", WITH_RANGE]);
            command.arg(self.room.path()).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env_clear().current_dir(&home);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", &home);
        command.env("NETLAB_RUNTIME", self.runtime).env("NETLAB_STATE", home.join("state"));
        if let Some(user) = self.user.filter(|_| !self.has_range) {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs `netlab` with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.netlab(arguments).output().unwrap().into()
    }

    /// Returns the `netlab` that runs here: a copy that an attack may try to overwrite.
    pub fn program(&self) -> PathBuf {
        self.room.path().join("bin/netlab")
    }

    /// Returns the home of the ground's user, in which labs keep their state.
    pub fn home(&self) -> PathBuf {
        self.room.path().join("home")
    }

    /// Writes a file in that home, creating its folders, owned by the ground's user.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(name);
        let mut folder = self.home();
        for part in Path::new(name).parent().into_iter().flat_map(Path::iter) {
            folder.push(part);
            if !folder.exists() {
                fs::create_dir(&folder).unwrap();
                chown(&folder, self.user, self.user).unwrap();
            }
        }
        fs::write(&path, text).unwrap();
        chown(&path, self.user, self.user).unwrap();
        path
    }

    /// Starts the default lab under a name that no other test uses.
    pub fn up(&self) -> Lab<'_> {
        self.up_with(&[])
    }

    /// The same with more arguments to `netlab up`.
    pub fn up_with(&self, arguments: &[&str]) -> Lab<'_> {
        let lab = Lab { ground: self, name: unique() };
        let said = self.run(&[&["up", "--lab", &lab.name], arguments].concat());
        assert_eq!(said.code, 0, "{said:?}");
        lab
    }
}

/// Returns a lab name that no other test uses.
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("a{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A lab that is taken down on drop.
pub struct Lab<'g> {
    pub ground: &'g Ground,
    pub name: String,
}

impl Lab<'_> {
    /// Runs a command on a host with `netlab exec`.
    pub fn exec(&self, host: &str, argv: &[&str]) -> Said {
        self.ground.run(&[&["exec", "--lab", &self.name, host, "--"], argv].concat())
    }

    /// The same for a shell command line.
    pub fn sh(&self, host: &str, line: &str) -> Said {
        self.exec(host, &["sh", "-c", line])
    }

    /// Puts a file on a host.
    pub fn put(&self, host: &str, path: &str, bytes: &[u8]) {
        use std::io::Write;
        let line = format!("cat >{path} && chmod 755 {path}");
        let mut child = self
            .ground
            .netlab(&["exec", "--lab", &self.name, host, "--", "sh", "-c", &line])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Compiles a C program on a host.
    pub fn compile(&self, host: &str, source: &str, program: &str) {
        self.put(host, &format!("{program}.c"), source.as_bytes());
        let said = self.exec(host, &["gcc", "-w", "-O1", "-pthread", "-o", program, &format!("{program}.c")]);
        assert_eq!(said.code, 0, "{said:?}");
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        self.ground.run(&["down", "--lab", &self.name]);
    }
}
