//! Users who share an engine.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
    process::{Command, Output},
};

use netlab::runtime::RuntimeKind;
use tempfile::TempDir;

use super::{left_of, netlab, succeeds};
use crate::support::{Lab, ROOM, block_on, unique};

/// One that the machine has not, and so nobody's.
const USER: u32 = 4545;

/// A user who may use the engine, with programs of their own.
struct User(TempDir);

impl User {
    fn new() -> Self {
        let room = tempfile::tempdir().unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_netlab")).parent().unwrap();
        for name in ["lab-init", "netlab", "processes", "tcpecho", "tcpechod", "threads"] {
            fs::copy(built.join(name), room.path().join(name)).unwrap();
        }
        chown(room.path(), Some(USER), None).unwrap();
        Self(room)
    }

    /// Runs netlab; returns its exit code and all its output.
    fn netlab(&self, lab: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let group = fs::metadata("/var/run/docker.sock").unwrap().gid().to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &USER.to_string(), "--regid", &group, "--clear-groups"]);
        command.arg(self.0.path().join("netlab")).args(arguments);
        command.env("NETLAB_LAB", lab).env("NETLAB_RUNTIME", "docker").env("HOME", self.0.path());
        command.env("NETLAB_STATE", self.0.path().join("state")).current_dir(self.0.path());
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }
}

pub fn a_lab_is_its_owners() {
    let (lab, user) = (Lab::up(RuntimeKind::Docker, ROOM), User::new());
    for arguments in
        [&["down"][..], &["up"], &["exec", "client1", "--", "true"], &["link", "client1", "--down"]]
    {
        let (code, said) = user.netlab(&lab.name, arguments);
        assert_eq!(code, Some(3), "{arguments:?}: {said}");
        assert!(said.contains(&format!("lab \"{}\" is root's", lab.name)), "{said}");
        assert!(said.contains("hint: ") && said.contains("--lab NAME"), "{said}");
    }
    let (code, said) = user.netlab(&lab.name, &["status"]);
    assert!(code == Some(0) && said.contains("on docker, of root\n"), "{said}");
    assert!(block_on(lab.runtime.lab(&lab.name)).unwrap().unwrap().is_whole());
}

pub fn root_may_take_down_anybodys_and_says_whose() {
    let (lab, user) = (unique("d"), User::new());
    let (code, said) = user.netlab(&lab, &["up"]);
    assert_eq!(code, Some(0), "{said}");
    let own = user.netlab(&lab, &["status"]).1;
    assert!(own.contains("on docker\n"), "{own}");
    assert!(succeeds(netlab(&lab, &["status", "--all"])).contains("up, of user 4545"));
    assert_eq!(succeeds(netlab(&lab, &["down"])), format!("took down: {lab} (user 4545's)"));
    assert_eq!(left_of(&lab), "");
}
