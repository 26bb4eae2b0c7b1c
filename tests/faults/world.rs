//! A test's own lab with everything it needs: home, temporary files, state, workspace, a class.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    census::{Census, eventually},
    ground::{self, Ground},
    run::{Ended, finish},
};

const RUN: &[u8] = include_bytes!("../fixtures/run/evidence.json");
const SERVER: &[u8] = include_bytes!("../labs/grade/server.c");
const COURSE: &str = "\
title: Sockets
points: 10
sections: {\"2\": {weight: 1}}
programs: [server]
limits: {seconds: 60, build_seconds: 60, disk: 16MiB, pids: 100, memory: 256MiB}
";
const MANIFEST: &str = "build: gcc -o /lab/program /lab/server.c\nserver: /lab/program {port}\n";

/// A lab whose hosts have limits on either runtime.
pub const LIMITS: &str = "\
hosts:
  server: {role: server, run: tcpechod 8007, limits: {memory: 256MiB, cpus: 1, pids: 100, disk: 16MiB}}
  client: {role: client, count: 2, limits: {pids: 100}}
";

/// The folders that are empty while no lab is up.
pub const EMPTY: [&str; 4] = ["home", "tmp", "run", "state"];

pub struct World<'g> {
    pub ground: &'g Ground,
    pub lab: String,
    /// Its folder within the ground's home.
    name: String,
    /// The folder in which its labs keep their state.
    state: PathBuf,
    census: Census,
}

impl<'g> World<'g> {
    /// Creates one that shares nothing with any other.
    pub fn new(ground: &'g Ground) -> Self {
        Self::with(ground, ground::unique(), None)
    }

    /// Creates one with a given lab name, and the same state folder as its user's others.
    pub fn sharing(ground: &'g Ground, lab: &str) -> Self {
        Self::with(ground, lab.to_owned(), Some(ground.home().join("state")))
    }

    fn with(ground: &'g Ground, lab: String, state: Option<PathBuf>) -> Self {
        let name = format!("world-{}", ground::unique());
        let folder = ground.home().join(&name);
        let census = Census::new(ground, &lab, &folder.join("tmp"));
        let state = state.unwrap_or_else(|| folder.join("state"));
        let world = Self { ground, lab, name, state, census };
        for folder in EMPTY {
            ground.write(&format!("{}/{folder}/.", world.name).replace("/.", "/made"), "");
            fs::remove_file(world.at(folder).join("made")).unwrap();
        }
        for (name, bytes) in [
            ("limits.yaml", LIMITS.as_bytes()),
            ("run/evidence.json", RUN),
            ("course.yaml", COURSE.as_bytes()),
            ("class/ann/netlab.yaml", MANIFEST.as_bytes()),
            ("class/ann/server.c", SERVER),
            ("mine/netlab.yaml", MANIFEST.as_bytes()),
            ("mine/server.c", SERVER),
        ] {
            ground.write(&format!("{}/work/{name}", world.name), bytes);
        }
        world
    }

    /// Returns the path of a folder or file of it.
    pub fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.ground.home().join(&self.name).join(name)
    }

    /// Returns the folder in which its commands are run.
    pub fn work(&self) -> PathBuf {
        self.at("work")
    }

    /// Returns a `netlab` command with these arguments for its lab.
    pub fn netlab(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.ground.program());
        command.args(arguments);
        command
    }

    /// Returns a command for any program in its environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.ground.command(program);
        command.current_dir(self.work()).env("NETLAB_LAB", &self.lab);
        for (name, folder) in [("HOME", "home"), ("TMPDIR", "tmp"), ("XDG_RUNTIME_DIR", "run")] {
            command.env(name, self.at(folder));
        }
        command.env("NETLAB_STATE", &self.state);
        command
    }

    /// Runs `netlab` to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        finish(&mut self.netlab(arguments))
    }

    /// The same without disturbance: it succeeds.
    pub fn runs(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code(), Some(0), "netlab {}: {ended:?}", arguments.join(" "));
        ended
    }

    /// Records what exists of the lab now.
    pub fn look(&self) -> Vec<crate::census::Process> {
        self.census.look()
    }

    /// Takes everything down, which must succeed whatever has happened, and must leave nothing.
    pub fn is_cleared(&self) {
        self.look();
        self.runs(&["status", "--all"]);
        self.runs(&["down"]);
        self.census.nothing_is_left(self);
    }

    /// Verifies that nothing of the lab exists, or that it disappears on its own.
    pub fn has_nothing(&self) {
        self.census.nothing_is_left(self);
    }

    /// Verifies that its hosts run only what they should, or that other programs end on their own.
    pub fn has_no_programs(&self) {
        eventually(|| {
            let mut left = self.look();
            left.retain(|p| !p.is_keeper() && !p.is_init() && !p.argv.starts_with("tcpechod 8007"));
            left.into_iter().map(|process| process.argv).collect()
        });
    }

    /// Verifies that a lab can be built here and works.
    pub fn works(&self) {
        self.runs(&["up"]);
        let echo = "echo hello | timeout 20 tcpecho server 8007";
        let said = self.runs(&["exec", "client1", "--", "sh", "-c", echo]);
        assert!(said.stdout.contains("hello"), "{said:?}");
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.run_down();
        let _ = fs::remove_dir_all(self.at(""));
    }
}

impl World<'_> {
    /// What a failed test may have left; the failure was already reported.
    fn run_down(&self) {
        let _ = self.netlab(&["down"]).output();
        self.census.end();
    }
}
