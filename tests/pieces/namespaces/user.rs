//! Runs all of it again as an ordinary user.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    process::Command,
};

use super::lab::programs;
use crate::support::skip::skipped;

/// Nobody: the user that owns nothing.
const NOBODY: u32 = 65534;

#[test]
fn an_ordinary_user_has_the_same_labs() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("only root can become another user, and this is an ordinary one already");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["netlab", "lab-init", "tcpechod", "tcpecho"] {
        fs::copy(programs().join(name), folder.path().join(name)).unwrap();
    }
    let tests = folder.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();

    let run = Command::new(&tests)
        // Only root may go to a host's network from outside the lab.
        .args([
            "namespaces::",
            "--skip",
            "namespaces::user::",
            "--skip",
            "namespaces::works::",
            "--nocapture",
        ])
        .env("NETLAB_TEST_PROGRAMS", folder.path())
        .env("TMPDIR", &home)
        .current_dir(&home)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}{told}");
    if let Some(why) = told.lines().find_map(|line| line.strip_prefix("skipped: ")) {
        skipped(why);
    }
}
