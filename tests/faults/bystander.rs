//! Objects that are not netlab's but look similar: they must be unchanged afterwards.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{
    docker,
    ground::{self, Ground},
};

/// A process; for root in its own network namespace. On Docker also a network and a volume.
pub struct Bystander {
    process: Child,
    name: Option<String>,
    before: Vec<Value>,
}

impl Bystander {
    pub fn new(ground: &Ground) -> Self {
        let mut command = if ground.is_root() { Command::new("unshare") } else { Command::new("env") };
        if ground.is_root() {
            command.arg("--net");
        }
        // Named like a keeper.
        command.args(["sh", "-c", "read end", "keeper", "lab"]);
        let process = command.stdin(Stdio::piped()).spawn().unwrap();
        let name = (ground.runtime == "docker").then(|| format!("netlab-{}", ground::unique()));
        if let Some(name) = &name {
            docker::post("/networks/create", &serde_json::json!({"Name": name, "Internal": true}));
            docker::post("/volumes/create", &serde_json::json!({"Name": name}));
        }
        let before = look(name.as_deref());
        Self { process, name, before }
    }

    pub fn must_be_unharmed(mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None, "a process that is not netlab's has ended");
        assert_eq!(look(self.name.as_deref()), self.before, "what is not netlab's has changed");
    }
}

fn look(name: Option<&str>) -> Vec<Value> {
    let paths = name.into_iter().flat_map(|name| [format!("/networks/{name}"), format!("/volumes/{name}")]);
    paths.map(|path| docker::ask("GET", &path)).inspect(|it| assert_ne!(*it, Value::Null)).collect()
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(name) = &self.name {
            docker::ask("DELETE", &format!("/networks/{name}"));
            docker::ask("DELETE", &format!("/volumes/{name}"));
        }
    }
}
