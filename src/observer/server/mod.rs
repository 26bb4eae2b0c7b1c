//! The observing end: threads that read packets and tables and write frames.
//!
//! The capture thread never waits for a table, the sampler never for a packet; a request passes through the
//! sampler and then the capture thread, so that its answer follows everything seen until then.

mod bounds;
mod control;
pub(crate) mod diag;
mod handle;
mod hosts;
pub(crate) mod ids;
mod merge;
mod no_dbus;
mod output;
pub(crate) mod parse;
mod proc;
mod programs;
mod recording;
mod sampler;
mod wire;

use std::{
    io::{Read, Write},
    sync::{Arc, mpsc},
    thread,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::protocol::{Message, Request, Task, decode_json, encode_json, read_frame};
use crate::{Result, error::Context, runtime::Watch, time::now};
use hosts::Host;
use output::Output;
use programs::Programs;
use sampler::{Wake, Watched};
use wire::{Requests, Tap};

/// Maximum number of wake-ups waiting for the sampler.
const WAKES: usize = 64;

/// Memory limit of the observer, in bytes. Within its other limits it needs a small part of that; whatever
/// happens, it is not the machine that runs out of memory.
const MEMORY: u64 = 512 << 20;

/// Observes a lab: reads its task and requests from `input` until its end, and writes observations to
/// `output`. The threads it starts run until the program ends, which should be at once.
pub fn serve(mut input: impl Read, output: impl Write + Send + 'static) -> Result<()> {
    limit_memory().or_lab(|| "cannot limit the observer's memory")?;
    let output = Output::new(output);
    let Some(frame) = next(&mut input)? else { return Ok(()) };
    let watch = match decode_json(&frame)? {
        Task::Record { record } => return recording::serve(&record, input, &output),
        Task::Watch(watch) => watch,
    };

    let taps: Vec<Tap> =
        (0u16..).zip(&watch.segments).map(|(i, s)| Tap::open(i, s)).collect::<Result<_>>()?;
    let mut hosts = open_hosts(&watch, &output)?;
    let programs = Arc::new(Programs::of_this_machine());
    let watch_host = |host| Watched::new(host, programs.clone());
    let mut watched: Vec<_> = hosts.iter().cloned().map(watch_host).collect();
    sampler::look(&mut watched, false, &output);
    report(&output, &Message::Ready { at: now() });

    let (wake, wakes) = mpsc::sync_channel(WAKES);
    let (requester, requests) = Requests::new()?;
    let (packet, out) = (wake.clone(), output.clone());
    let begun = thread::Builder::new().spawn(move || wire::run(taps, &requests, &packet, &out));
    begun.or_lab(|| "cannot start a thread")?;
    let out = output.clone();
    let begun =
        thread::Builder::new().spawn(move || sampler::run(watched, &wakes, &out, |id| requester.done(id)));
    begun.or_lab(|| "cannot start a thread")?;

    while let Some(frame) = next(&mut input)? {
        match decode_json(&frame)? {
            Request::Sample { id } => wake.send(Wake::Request(id)).or_lab(|| "the sampler has ended")?,
            Request::Signal { id, host, pid, signal } => {
                let done = find(&hosts, &host).and_then(|host| control::signal(host, pid, signal));
                report(
                    &output,
                    &done.map_or_else(|why| Message::Failed { id, why }, |()| Message::Done { id }),
                );
            }
            Request::Resolve { id, outer } => {
                let pid = control::resolve(hosts.iter().map(Arc::as_ref), outer);
                report(
                    &output,
                    &pid.map_or_else(|why| Message::Failed { id, why }, |pid| Message::Pid { id, pid }),
                );
            }
            Request::Watch { id, host } => match Host::open(&host)? {
                Some(host) => {
                    let host = Arc::new(host);
                    hosts.retain(|h| h.name != host.name);
                    hosts.push(host.clone());
                    let watched = Box::new(watch_host(host));
                    wake.send(Wake::Watch(id, watched)).or_lab(|| "the sampler has ended")?;
                }
                None => report(&output, &Message::Failed { id, why: format!("host {} is gone", host.name) }),
            },
        }
    }
    Ok(())
}

fn limit_memory() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_DATA)?;
    let memory = most.min(MEMORY);
    setrlimit(Resource::RLIMIT_DATA, memory, memory)
}

/// Opens the hosts that exist, and reports the others to the reader.
fn open_hosts(watch: &Watch, output: &Output) -> Result<Vec<Arc<Host>>> {
    let mut hosts = Vec::new();
    for watched in &watch.hosts {
        if let Some(host) = Host::open(watched)? {
            hosts.push(Arc::new(host));
        } else {
            report(output, &Message::Gone { at: now(), host: watched.name.clone() });
        }
    }
    Ok(hosts)
}

fn find<'h>(hosts: &'h [Arc<Host>], name: &str) -> Result<&'h Host, String> {
    hosts.iter().find(|h| h.name == name).map(Arc::as_ref).ok_or_else(|| format!("no host {name} to observe"))
}

fn next(input: &mut impl Read) -> Result<Option<Vec<u8>>> {
    read_frame(input).or_lab(|| "unreadable request to the observer")
}

fn report(output: &Output, message: &Message) {
    let mut frame = Vec::new();
    encode_json(message, &mut frame);
    output.send(&frame);
}
