//! The commands to disturb.

use std::{process::Command, time::Duration};

use crate::{ground::Ground, world::World};

/// What must exist before a command is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    Nothing,
    Lab,
    /// A lab whose hosts have limits.
    Limits,
    /// A lab with a host whose link is cut.
    Cut,
    /// A lab that is being recorded.
    Recording,
    /// An earlier report.
    Report,
    /// An earlier archive.
    Archive,
}

/// A command to disturb.
pub struct Verb {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    pub needs: Needs,
    /// Approximately how long it takes on namespaces.
    pub takes: Duration,
}

const fn verb(name: &'static str, arguments: &'static [&'static str], needs: Needs, millis: u64) -> Verb {
    Verb { name, arguments, needs, takes: Duration::from_millis(millis) }
}

pub const VERBS: [Verb; 18] = [
    verb("up", &["up"], Needs::Nothing, 100),
    verb("up with limits", &["up", "-f", "limits.yaml"], Needs::Nothing, 150),
    verb("exercise 2", &["exercise", "2", "--json"], Needs::Lab, 400),
    verb("exercise 5", &["exercise", "5", "--json"], Needs::Nothing, 2500),
    verb("capture start", &["capture", "start", "one"], Needs::Lab, 70),
    verb("capture stop", &["capture", "stop"], Needs::Recording, 30),
    verb("exec", &["exec", "client1", "--", "sh", "-c", "echo hello | tcpecho server 8007"], Needs::Lab, 60),
    verb("check", &["check", "2", "--json"], Needs::Nothing, 1500),
    verb(
        "grade",
        &["grade", "class", "--course", "course.yaml", "--out", "out", "--json"],
        Needs::Nothing,
        4000,
    ),
    verb("submit", &["submit", "mine", "--output", "mine.tar.gz"], Needs::Archive, 30),
    verb("report", &["report", "run"], Needs::Report, 40),
    verb("init", &["init", "ws"], Needs::Nothing, 20),
    verb("link down", &["link", "client1", "--down"], Needs::Lab, 40),
    verb("link up", &["link", "client1", "--up"], Needs::Cut, 40),
    verb("host reboot", &["host", "client1", "--reboot"], Needs::Lab, 100),
    verb("host stop", &["host", "client1", "--stop"], Needs::Lab, 50),
    verb("down", &["down"], Needs::Lab, 30),
    verb("down with limits", &["down"], Needs::Limits, 40),
];

impl Verb {
    pub fn named(name: &str) -> &'static Self {
        VERBS.iter().find(|verb| verb.name == name).unwrap()
    }

    /// Returns the commands of a ground: only root and an engine can limit untrusted programs.
    pub fn all(ground: &Ground) -> Vec<&'static Self> {
        VERBS.iter().filter(|verb| verb.name != "grade" || ground.name != "namespaces-user").collect()
    }

    /// Returns how long it takes on a ground.
    pub fn takes_on(&self, ground: &Ground) -> Duration {
        self.takes * if ground.runtime == "docker" { 10 } else { 1 }
    }

    /// Returns the command as it is typed.
    pub fn command(&self, world: &World, program: Option<&[&str]>) -> Command {
        let mut command = match program {
            Some(words) => {
                let mut command = world.command("sh");
                command.args(words).arg(world.ground.program());
                command
            }
            None => world.command(world.ground.program()),
        };
        if self.name == "check" {
            command.current_dir(world.work().join("mine"));
        }
        command.args(self.arguments);
        command
    }

    /// Returns whether it judges somebody's programs.
    pub fn judges(&self) -> bool {
        ["exercise", "check", "grade"].iter().any(|word| self.name.starts_with(word))
    }

    /// Creates what it needs.
    pub fn prepare(&self, world: &World) {
        match self.needs {
            Needs::Nothing => {}
            Needs::Lab => drop(world.runs(&["up"])),
            Needs::Limits => drop(world.runs(&["up", "-f", "limits.yaml"])),
            Needs::Recording => {
                world.runs(&["up"]);
                world.runs(&["capture", "start", "one"]);
            }
            Needs::Cut => {
                world.runs(&["up"]);
                world.runs(&["link", "client1", "--down"]);
            }
            Needs::Report => drop(world.runs(&["report", "run"])),
            Needs::Archive => drop(world.runs(&["submit", "mine", "--output", "mine.tar.gz"])),
        }
    }
}
