//! Cuts a host's power and restores it.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};

use super::{Keeper, LINKS_UP, host::Gate, network};
use crate::{Error, Result, runtime::WatchedHost};

impl Keeper {
    /// Disconnects a host's links, then kills it and waits until it is gone. In this order nothing that its
    /// kernel sends for its dying processes, neither FIN nor RST, reaches the wire.
    pub fn stop_host(&mut self, name: &str) -> Result<()> {
        let n = self.number(name)?;
        network::detach(&self.plan, n)?;
        if self.hosts[n].alive {
            // It may just have ended on its own.
            let _ = kill(self.hosts[n].init, Signal::SIGKILL);
            self.reap_until(|hosts| !hosts[n].alive);
        }
        Ok(())
    }

    /// Starts a host again, unless it is running.
    pub fn start_host(&mut self, name: &str) -> Result<WatchedHost> {
        let n = self.number(name)?;
        if !self.hosts[n].alive {
            self.boot(n).inspect_err(|_| {
                // The first error is the one to report.
                let _ = self.stop_host(name);
            })?;
        }
        Ok(WatchedHost { name: name.to_owned(), init: self.hosts[n].init.as_raw() })
    }

    fn boot(&mut self, n: usize) -> Result<()> {
        let Some(ground) = &self.ground else { return Err(Error::lab("the lab is not built yet")) };
        let mut gate = Gate::new()?;
        let host = &mut self.hosts[n];
        let inits = ground.starter(&self.plan).boot(&[(n, &host.log, &host.membership)], &mut gate)?;
        for (init, pidfd) in inits {
            (host.init, host.pidfd, host.alive) = (init, pidfd, true);
        }
        let switch = network::Switch::attach(&self.plan, n, self.hosts[n].init)?;
        gate.open(1)?;
        switch.wait_forwarding(Instant::now() + LINKS_UP)
    }
}
