//! Which host plays which part of an exercise.

use std::collections::BTreeMap;

use crate::{
    Error, Result,
    topology::{HostPlan, Plan, Role},
};

/// The hosts that an exercise's names stand for: `server` and `client1`, `client2`, ….
pub type Roles = BTreeMap<String, String>;

/// Chooses the hosts: the first server, and the clients in the order of the topology.
pub fn assign_roles(plan: &Plan, clients: usize) -> Result<Roles> {
    let of = |role| plan.hosts.iter().filter(move |h: &&HostPlan| h.role == role);
    let server = of(Role::Server).next().ok_or_else(|| {
        Error::usage(format!("lab \"{}\" has no host with role server", plan.lab))
            .hint("give one of its topology's hosts `role: server`")
    })?;
    let found = of(Role::Client).count();
    if found < clients {
        return Err(Error::usage(format!(
            "the exercise needs {clients} client hosts, and lab \"{}\" has {found}",
            plan.lab
        ))
        .hint(format!("add more to its topology, e.g. `client: {{count: {clients}}}`")));
    }
    let mut roles = Roles::from([("server".to_owned(), server.name.clone())]);
    roles.extend(of(Role::Client).zip(1..).map(|(host, n)| (format!("client{n}"), host.name.clone())));
    Ok(roles)
}
