//! What an exercise does to whole hosts: it cuts and restores their links and their power.

use super::engine::Run;
use crate::{
    Error, Result,
    exercise::model::Switch,
    link::{self, Change},
    time::now,
    timeline::What,
};

impl Run<'_> {
    /// Cuts a host's link, or restores it.
    pub(super) async fn link(&mut self, part: &str, state: Switch) -> Result<()> {
        let name = self.snapshot.host(part).to_owned();
        let host =
            self.plan.host(&name).ok_or_else(|| Error::usage(format!("the lab has no host {name}")))?;
        let up = state == Switch::Up;
        let at = now();
        let wanted = Change { up: Some(up), ..Change::default() };
        link::change(self.runtime, &self.plan.lab, host, &wanted).await?;
        let (text, flag) = if up { ("its link is up", "--up") } else { ("its link is cut", "--down") };
        if up {
            self.unplugged.remove(&name);
        } else {
            self.unplugged.insert(name.clone());
        }
        let redo = format!("netlab link {name} {flag}");
        self.add(at, What::Switched { host: name, text: text.into(), redo, power: None });
        Ok(())
    }

    /// Cuts a host's power, or restores it.
    pub(super) async fn power(&mut self, part: &str, state: Switch) -> Result<()> {
        let name = self.snapshot.host(part).to_owned();
        let at = now();
        let (text, flag) = match state {
            Switch::Down => {
                self.dark.insert(name.clone());
                self.runtime.stop_host(&self.plan.lab, &name).await?;
                self.look_around().await?;
                ("its power is cut", "--stop")
            }
            Switch::Up => {
                self.look_for_light(&name).await?;
                let watched = self.runtime.start_host(&self.plan.lab, &name).await?;
                self.session.watch_again(&watched).await?;
                self.dark.remove(&name);
                // A restarted host's link is new, and so it is up.
                self.unplugged.remove(&name);
                ("its power is back", "--start")
            }
        };
        let redo = format!("netlab host {name} {flag}");
        self.add(
            at,
            What::Switched { host: name, text: text.into(), redo, power: Some(state == Switch::Up) },
        );
        Ok(())
    }

    /// Notes the hosts whose power is back before the exercise has restored it: somebody else did that.
    async fn look_for_light(&mut self, name: &str) -> Result<()> {
        if !self.dark.contains(name) {
            return Ok(());
        }
        let lab = self.runtime.lab(&self.plan.lab).await?;
        if lab.is_some_and(|lab| lab.is_running(name)) {
            self.disturb(&format!("host {name} was started meanwhile"));
        }
        Ok(())
    }

    /// Restores everything that is cut, also after a failure. Returns the first error.
    pub(super) async fn restore(&mut self) -> Result<()> {
        let mut restored = Ok(());
        for host in self.dark.clone() {
            restored = restored.and(self.power(&host, Switch::Up).await);
        }
        for host in self.unplugged.clone() {
            restored = restored.and(self.link(&host, Switch::Up).await);
        }
        restored
    }
}
