//! The keeper's main loop: answers clients and reaps children.

use std::{
    fs::File,
    io::{self, PipeWriter, Write},
    mem,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
        socket::{getsockopt, sockopt::PeerCredentials},
    },
    unistd::{Pid, geteuid},
};

use super::{
    super::{
        protocol::{self, Failure, Reply, Request},
        state::Claim,
    },
    Ground, Keeper,
    folder::FolderWatch,
    host::Host,
    network,
    spawn::{self, Newborn, Place, Progress, Streams},
};
use crate::{
    Error, Result,
    error::Context,
    kernel::{ExitStatus, sys},
    privileges::Capabilities,
    runtime::{Command, HostState, Watch, WatchedHost},
    suggest::nearest,
    topology::HostPlan,
};

/// A client and the program that it waits for.
struct Client {
    socket: UnixStream,
    program: Option<Pid>,
    /// The program it requested, until that has started.
    newborn: Option<Newborn>,
}

impl Client {
    /// Sends a reply. A client that does not read it loses it: the socket does not block.
    fn send(&self, reply: &Reply, fds: &[OwnedFd]) {
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let _ = protocol::send(self.socket.as_fd(), reply, &fds);
    }
}

impl Keeper {
    /// Serves until a client or SIGTERM ends it. Writes a byte to `ready` once it can be reached.
    pub fn serve(&mut self, mut ready: PipeWriter) {
        let mut clients: Vec<Client> = Vec::new();
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.add(Signal::SIGTERM);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let Ok(signals) = mask.thread_block().and_then(|()| SignalFd::with_flags(&mask, flags)) else {
            self.take_down();
            return;
        };
        // The lab also works without the watch; a lab whose folder is gone would then just stay, unreachable.
        let folder = FolderWatch::new(&self.folder).ok();
        // It may have been removed before the watch began.
        if !self.folder.socket().exists() {
            self.take_down();
            return;
        }
        // The reader may be gone.
        let _ = ready.write_all(&[1]);
        drop(ready);
        // Children that ended before the signals were set up.
        self.reap();
        loop {
            answer_started(&mut clients);
            self.tell_ends(&clients);
            let ready = wait(&signals, self.listener.as_fd(), folder.as_ref(), &clients, &self.hosts);
            if ready.signals {
                while let Ok(Some(signal)) = signals.read_signal() {
                    if signal.ssi_signo == Signal::SIGTERM as u32 {
                        self.take_down();
                        return;
                    }
                }
                self.reap();
            }
            if ready.folder && folder.as_ref().is_some_and(FolderWatch::is_gone) {
                self.take_down();
                return;
            }
            for place in ready.logs {
                self.hosts[place].log.drain();
            }
            // Backwards, so that removing one does not move the rest.
            for place in ready.clients.into_iter().rev() {
                match protocol::receive(clients[place].socket.as_fd()) {
                    Ok(Some((Request::Down, _))) => {
                        let left = self.take_down();
                        self.tell_ends(&clients);
                        clients[place].send(&Reply::Gone { left }, &[]);
                        return;
                    }
                    // It must wait for its answer before it sends another request.
                    Ok(Some(_)) if clients[place].newborn.is_some() => drop(clients.swap_remove(place)),
                    Ok(Some((request, fds))) => self.answer(&mut clients[place], request, fds),
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Ok(None) | Err(_) => drop(clients.swap_remove(place)),
                }
            }
            if ready.listener {
                clients.extend(self.accept());
            }
        }
    }

    /// Accepts a client if it is the same user: a client may run programs.
    fn accept(&self) -> Option<Client> {
        let (socket, _) = self.listener.accept().ok()?;
        let peer = getsockopt(&socket, PeerCredentials).ok()?;
        socket.set_nonblocking(true).ok()?;
        (peer.uid() == geteuid().as_raw()).then_some(Client { socket, program: None, newborn: None })
    }

    fn answer(&mut self, client: &mut Client, request: Request, fds: Vec<OwnedFd>) {
        match self.carry_out(client, request, fds) {
            // It is answered when its program has started.
            Ok(_) if client.newborn.is_some() => {}
            Ok(reply) => client.send(&reply, &[]),
            Err(e) => client.send(&Reply::Failed(Failure::from(&e)), &[]),
        }
    }

    fn carry_out(&mut self, client: &mut Client, request: Request, fds: Vec<OwnedFd>) -> Result<Reply> {
        let three = |fds: Vec<OwnedFd>| {
            <[OwnedFd; 3]>::try_from(fds).map_err(|_| Error::lab("a program needs three streams"))
        };
        match request {
            Request::Exec { host, command } => {
                let streams = match command.terminal {
                    Some(_) => Streams::Terminal,
                    None => Streams::Given(three(fds)?),
                };
                let newborn = self.spawn(&host, &command, &streams)?;
                client.program = Some(newborn.pid);
                client.newborn = Some(newborn);
                Ok(Reply::Done)
            }
            Request::Start { host, command } => {
                let (_, found) = self.host(&host)?;
                let open = || {
                    let null = File::open("/dev/null")?;
                    Ok::<_, io::Error>([
                        null.into(),
                        found.log.inlet().try_clone()?.into(),
                        found.log.inlet().try_clone()?.into(),
                    ])
                };
                let streams = Streams::Given(open().or_lab(|| format!("cannot open the log of {host}"))?);
                client.newborn = Some(self.spawn(&host, &command, &streams)?);
                Ok(Reply::Done)
            }
            Request::Observe => {
                let group = self.cgroups.observers(&self.plan.lab, &self.folder.cgroups());
                let pid = spawn::observer(&self.netlab, &group, &three(fds)?)?;
                client.program = Some(pid);
                Ok(Reply::Observing { pid: pid.as_raw(), watch: self.watch() })
            }
            Request::Hosts => {
                let state = |h: &Host| if h.alive { HostState::Running } else { HostState::Stopped };
                Ok(Reply::Hosts(self.hosts.iter().map(state).collect()))
            }
            Request::Stop { host } => {
                self.stop_host(&host)?;
                Ok(Reply::Done)
            }
            Request::Boot { host } => Ok(Reply::Booted(self.start_host(&host)?)),
            Request::Down => Err(Error::lab("the lab is already being taken down")),
        }
    }

    fn spawn(&self, host: &str, command: &Command, streams: &Streams) -> Result<Newborn> {
        let (plan, found) = self.host(host)?;
        if !found.alive {
            return Err(Error::lab(format!("host {host} has stopped"))
                .hint(format!("`netlab host {host} --start` starts it again")));
        }
        let Some(Ground { ids, .. }) = &self.ground else {
            return Err(Error::lab("the lab is not built yet"));
        };
        let place = Place {
            host: plan,
            init: found.pidfd.as_fd(),
            membership: &found.membership,
            ids,
            capabilities: Capabilities::of_root(self.plan.untrusted && !command.changes_network),
        };
        spawn::on_host(&place, command, streams)
    }

    fn host(&self, name: &str) -> Result<(&HostPlan, &Host)> {
        self.number(name).map(|n| (&self.plan.hosts[n], &self.hosts[n]))
    }

    /// Returns the index of the plan's host of that name.
    pub fn number(&self, name: &str) -> Result<usize> {
        self.plan.hosts.iter().position(|host| host.name == name).ok_or_else(|| {
            let near = nearest(name, self.plan.hosts.iter().map(|h| h.name.as_str()));
            let error = Error::lab(format!("lab {} has no host {name}", self.plan.lab));
            match near {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error,
            }
        })
    }

    fn watch(&self) -> Watch {
        let hosts = self.plan.hosts.iter().zip(&self.hosts).filter(|(_, host)| host.alive);
        let watched = |(plan, host): (&HostPlan, &Host)| WatchedHost {
            name: plan.name.clone(),
            init: host.init.as_raw(),
        };
        Watch { hosts: hosts.map(watched).collect(), segments: network::bridges(&self.plan) }
    }

    /// Reaps the children that have ended.
    pub fn reap(&mut self) {
        while let Some(end) = sys::reap(false) {
            self.note_end(end);
        }
    }

    /// Reaps children until `are_so` holds for the hosts. A host's PID 1 does not end before the programs
    /// that were started there from outside are reaped.
    pub fn reap_until(&mut self, are_so: impl Fn(&[Host]) -> bool) {
        while !are_so(&self.hosts) {
            let Some(end) = sys::reap(true) else { break };
            self.note_end(end);
        }
    }

    fn note_end(&mut self, end: (Pid, ExitStatus)) {
        for host in &mut self.hosts {
            host.alive &= end.0 != host.init;
        }
        self.ended.push(end);
    }

    fn tell_ends(&mut self, clients: &[Client]) {
        for (pid, status) in self.ended.drain(..) {
            for client in clients.iter().filter(|c| c.program == Some(pid)) {
                client.send(&Reply::Exited(status), &[]);
            }
        }
    }

    /// Kills the hosts with all of their processes, and waits until they are gone.
    pub fn end_hosts(&mut self) {
        for host in self.hosts.iter().filter(|h| h.alive) {
            // It may just have ended on its own.
            let _ = kill(host.init, Signal::SIGKILL);
        }
        self.reap_until(|hosts| hosts.iter().all(|h| !h.alive));
    }

    /// Takes down everything that the kernel does not clean up on its own. Returns descriptions of what is
    /// left.
    pub fn take_down(&mut self) -> Vec<String> {
        self.end_hosts();
        let mut left = mem::take(&mut self.cgroups).remove();
        if let Err(e) = self.folder.claim().and_then(Claim::remove) {
            left.push(e.to_string());
        }
        left
    }
}

/// Answers the clients whose programs have started or failed to.
fn answer_started(clients: &mut [Client]) {
    for client in clients {
        let Some(newborn) = &client.newborn else { continue };
        let reply = match newborn.look() {
            Progress::Starting => continue,
            Progress::Running => Reply::Spawned { pid: newborn.pid.as_raw() },
            Progress::TimedOut => {
                let kept = Error::lab("the program was kept from starting")
                    .hint("something on its host stops or traces every new process");
                Reply::Failed(Failure::from(&kept))
            }
        };
        let master = client.newborn.take().and_then(|newborn| newborn.master);
        client.send(&reply, &Vec::from_iter(master));
    }
}

struct Ready {
    signals: bool,
    listener: bool,
    folder: bool,
    /// Indexes in the list of clients.
    clients: Vec<usize>,
    /// Indexes in the list of hosts.
    logs: Vec<usize>,
}

fn wait(
    signals: &SignalFd,
    listener: BorrowedFd<'_>,
    folder: Option<&FolderWatch>,
    clients: &[Client],
    hosts: &[Host],
) -> Ready {
    let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
    // Without a folder watch, the third descriptor repeats the first.
    let third = folder.map_or(signals.as_fd(), AsFd::as_fd);
    let mut fds = vec![watch(signals.as_fd()), watch(listener), watch(third)];
    fds.extend(clients.iter().map(|c| watch(c.socket.as_fd())));
    fds.extend(hosts.iter().map(|h| watch(h.log.outlet())));
    let newborns = || clients.iter().filter_map(|c| c.newborn.as_ref());
    fds.extend(newborns().map(|n| watch(n.launcher())));
    let patience = newborns().map(Newborn::deadline).min().map_or(PollTimeout::NONE, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    });
    // Fails if interrupted, in which case nothing is ready, or for lack of memory, in which case it is called
    // again.
    if poll(&mut fds, patience).is_err() {
        return Ready {
            signals: false,
            listener: false,
            folder: false,
            clients: Vec::new(),
            logs: Vec::new(),
        };
    }
    let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
    let (of_clients, rest) = ready[3..].split_at(clients.len());
    let of_logs = &rest[..hosts.len()];
    let places =
        |ready: &[bool]| ready.iter().enumerate().filter(|(_, r)| **r).map(|(place, _)| place).collect();
    Ready {
        signals: ready[0],
        listener: ready[1],
        folder: ready[2],
        clients: places(of_clients),
        logs: places(of_logs),
    }
}
