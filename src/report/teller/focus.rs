//! What an exercise's checks ask about, which a short account always shows.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    exercise::{
        Roles,
        model::{Exercise, Facts},
    },
    judge::Snapshot,
    kernel::SocketRow,
    observer::ProcessRow,
};

/// What the checks of an exercise ask about, look by look.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Focus {
    looks: BTreeMap<String, Asked>,
    /// Programs whose output or end a check asks about.
    programs: BTreeSet<String>,
}

/// What checks ask about at one look.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Asked {
    /// Hosts, each with one of the exercise's ports, whose sockets are asked about.
    sockets: BTreeSet<(String, u16)>,
    /// Programs whose processes are asked about.
    programs: BTreeSet<String>,
}

impl Focus {
    /// The focus of a run of this exercise, with these hosts as its roles and these ports.
    pub fn of(exercise: &Exercise, roles: &Roles, ports: &IndexMap<String, u16>) -> Self {
        let mut looks: BTreeMap<String, Asked> = BTreeMap::new();
        for check in &exercise.checks {
            if let Some(look) = &check.at {
                looks.entry(look.clone()).or_default().add(&check.show, roles, ports);
            }
        }
        let programs = exercise.checks.iter().flat_map(|check| &check.show.program);
        Self { looks, programs: programs.map(|program| program.name.clone()).collect() }
    }

    /// Whether a check asks what this program printed, or how it ended.
    pub(super) fn has_program(&self, name: &str) -> bool {
        self.programs.contains(name)
    }

    /// Whether a check asks about this socket of the host at that look.
    pub(super) fn has_socket(&self, look: &str, host: &str, socket: &SocketRow) -> bool {
        let ports = [socket.local.port(), socket.remote.port()];
        let is_asked =
            |asked: &Asked| ports.iter().any(|port| asked.sockets.contains(&(host.to_owned(), *port)));
        self.looks.get(look).is_some_and(is_asked)
    }

    /// Whether a check asks about this process of the host at that look.
    pub(super) fn has_process(
        &self,
        look: &str,
        host: &str,
        process: &ProcessRow,
        snapshot: &Snapshot,
    ) -> bool {
        let Some(asked) = self.looks.get(look) else { return false };
        let mut programs = asked.programs.iter().filter_map(|name| snapshot.programs.get(name));
        programs.any(|program| program.host == host && program.has(process.pid))
    }
}

impl Asked {
    fn add(&mut self, facts: &Facts, roles: &Roles, ports: &IndexMap<String, u16>) {
        for socket in &facts.sockets {
            let host = roles.get(&socket.on).unwrap_or(&socket.on);
            let port = ports.get(socket.port.as_deref().unwrap_or("port"));
            self.sockets.extend(port.map(|port| (host.clone(), *port)));
        }
        self.programs.extend(facts.each().filter_map(|fact| fact.process_of()).cloned());
    }
}
