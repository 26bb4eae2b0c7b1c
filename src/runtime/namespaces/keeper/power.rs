//! A host's power, cut and given back.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};

use super::{Keeper, LINKS_UP, host::Gate, network};
use crate::{Error, Result, runtime::WatchedHost};

impl Keeper {
    /// Pulls out a host's links, then ends it and waits until it is gone. In this order nothing of what
    /// its kernel would say for its dying processes, no FIN and no RST, comes to the wire.
    pub fn stop_host(&mut self, name: &str) -> Result<()> {
        let n = self.number(name)?;
        network::detach(&self.plan, n)?;
        if self.hosts[n].alive {
            // It may just have ended by itself.
            let _ = kill(self.hosts[n].init, Signal::SIGKILL);
            self.reap_until(|hosts| !hosts[n].alive);
        }
        Ok(())
    }

    /// Starts a host again, unless it runs.
    pub fn start_host(&mut self, name: &str) -> Result<WatchedHost> {
        let n = self.number(name)?;
        if !self.hosts[n].alive {
            self.boot(n).inspect_err(|_| {
                // The first error is the one to tell.
                let _ = self.stop_host(name);
            })?;
        }
        Ok(WatchedHost { name: name.to_owned(), init: self.hosts[n].init.as_raw() })
    }

    fn boot(&mut self, n: usize) -> Result<()> {
        let Some(stage) = &self.stage else { return Err(Error::lab("the lab has no stage")) };
        let mut gate = Gate::new()?;
        stage.visit(|| self.hosts[n].restart(stage, &self.plan, n, &mut gate))?;
        let switch = network::Switch::attach(&self.plan, n, self.hosts[n].init)?;
        gate.open(1)?;
        switch.wait_forwarding(Instant::now() + LINKS_UP)
    }
}
