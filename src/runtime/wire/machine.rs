//! Closes a wire whose interfaces are the machine's own: `netlab wire`, which runs on the machine's network
//! with the right to change it.
//!
//! The engine gives a segment's bridge no address, which is not enough: the kernel gives it an IPv6 address,
//! answers there for every service of the machine, and routes what is sent to the bridge's hardware address.
//! So nothing that arrives at the bridge is passed up to the machine. Captures still see it, since they come
//! first.

use std::{
    io::{Read, Write},
    os::fd::AsFd,
};

use netlink_packet_core::{DefaultNla, Emitable};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkMessage},
};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::{
    carries, listens, lock, ready,
    sender::{self, Program},
};
use crate::{
    Error, Result,
    error::Context,
    kernel::{
        netlink::{Change, Netlink},
        sys::pidfd_open,
    },
    runtime::Warning,
    topology::{HostPlan, LinkPlan},
};

/// `linux/if_link.h`: an interface's IPv4 parameters; `linux/ip.h`: whether it forwards packets.
const IFLA_INET_CONF: u16 = 1;
const IPV4_DEVCONF_FORWARDING: u16 = 1;

/// What to close.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Order {
    /// Bridges to cut off from the machine.
    pub bridges: Vec<String>,
    /// Hosts whose ports are to be locked.
    pub hosts: Vec<Host>,
}

/// A host, as the machine knows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Host {
    /// Its plan.
    pub plan: HostPlan,
    /// Its PID 1.
    pub init: i32,
    /// The bridge of each of its links, in the plan's order.
    pub bridges: Vec<String>,
    /// Arguments with which `lab-init` prepares its network, where the host's own PID 1 may not.
    pub ready: Option<Vec<String>>,
}

/// What could not be done, one line each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// What is still open.
    pub open: Vec<String>,
    /// What does not work in the lab.
    pub lacking: Vec<Warning>,
}

/// Reads an [`Order`] to its end, closes what it names, and writes an [`Outcome`].
pub fn serve(input: impl Read, output: impl Write) -> Result<()> {
    let order: Order = serde_json::from_reader(input).or_lab(|| "cannot understand what wire to close")?;
    let outcome = Outcome { open: close(&order), lacking: try_out(&order) };
    serde_json::to_writer(output, &outcome).or_lab(|| "cannot report whether the wire is closed")
}

/// Closes as much as possible, and returns what could not be closed.
fn close(order: &Order) -> Vec<String> {
    let mut steps = match look(order) {
        Ok((wire, missing)) => {
            let mut steps = wire.close();
            steps.extend(missing.into_iter().map(Err));
            steps
        }
        Err(error) => vec![Err(error)],
    };
    let ready = |host: &Host| host.ready.as_ref().map(|arguments| ready::network(host, arguments));
    steps.extend(order.hosts.iter().filter_map(ready));
    steps.into_iter().filter_map(Result::err).map(|error| error.with_causes()).collect()
}

/// Waits until the hosts' servers listen and, for a whole lab, tests the wire between all hosts. Afterwards
/// this process is in some host's network namespace.
fn try_out(order: &Order) -> Vec<Warning> {
    let mut lacking = Vec::new();
    if !order.bridges.is_empty() {
        // A host that has stopped was already reported.
        let pidfd = |host: &Host| pidfd_open(Pid::from_raw(host.init)).ok();
        let hosts: Vec<_> = order.hosts.iter().filter_map(|host| Some((&host.plan, pidfd(host)?))).collect();
        let hosts: Vec<_> = hosts.iter().map(|(plan, init)| (*plan, init.as_fd())).collect();
        lacking.extend(carries(&hosts));
    }
    let hosts: Vec<_> = order.hosts.iter().map(|host| (&host.plan, host.init)).collect();
    lacking.extend(listens::wait(&hosts));
    lacking
}

/// The wire's interfaces on the machine.
#[derive(Default)]
struct Wire<'o> {
    /// Bridges, with their names.
    bridges: Vec<(u32, &'o str)>,
    /// Ports, each with its host and link.
    ports: Vec<(u32, &'o HostPlan, &'o LinkPlan)>,
}

/// Finds them. Also returns those that are missing.
fn look(order: &Order) -> Result<(Wire<'_>, Vec<Error>)> {
    let netlink = Netlink::open()?;
    let links = netlink.links()?;
    let (mut wire, mut missing) = (Wire::default(), Vec::new());
    for name in &order.bridges {
        match index(name, &links) {
            Some(index) => wire.bridges.push((index, name)),
            None => missing.push(Error::lab(format!("there is no bridge {name}"))),
        }
    }
    for Host { plan, init, bridges, .. } in &order.hosts {
        // `None` also if it has ended in the meantime.
        let namespace = netlink.namespace_of(*init).ok().flatten();
        for (bridge, link) in bridges.iter().zip(&plan.links) {
            match namespace.and_then(|namespace| port(bridge, namespace, &links)) {
                Some(index) => wire.ports.push((index, plan, link)),
                None => missing.push(Error::lab(format!("cannot find {}", name(plan, link)))),
            }
        }
    }
    Ok((wire, missing))
}

fn index(name: &str, links: &[LinkMessage]) -> Option<u32> {
    let named = LinkAttribute::IfName(name.to_owned());
    links.iter().find(|link| link.attributes.contains(&named)).map(|link| link.header.index)
}

/// Returns the port of the bridge whose other end is in that namespace.
fn port(bridge: &str, namespace: i32, links: &[LinkMessage]) -> Option<u32> {
    let wanted = [LinkAttribute::Controller(index(bridge, links)?), LinkAttribute::LinkNetNsId(namespace)];
    let port = links.iter().find(|link| wanted.iter().all(|w| link.attributes.contains(w)));
    port.map(|port| port.header.index)
}

fn name(host: &HostPlan, link: &LinkPlan) -> String {
    format!("the port of {} on {}", host.name, link.segment)
}

impl Wire<'_> {
    /// Locks the ports and isolates the machine from the bridges: nothing is passed up from them, sent out,
    /// or forwarded. Continues after a failure.
    fn close(&self) -> Vec<Result<()>> {
        let lock = |(index, host, link): &(u32, &HostPlan, &LinkPlan)| {
            lock::incoming(*index, &name(host, link), &sender::only(host, link))
        };
        let cut_off = |(index, name): &(u32, &str)| lock::both_ways(*index, name, &Program::drop_all());
        let mut steps = vec![
            apply(&self.ports.iter().flat_map(lock).collect::<Vec<_>>()),
            apply(&self.bridges.iter().flat_map(cut_off).collect::<Vec<_>>()),
        ];
        let bridges = self.bridges.iter().map(|(index, _)| *index);
        let all: Vec<u32> = bridges.chain(self.ports.iter().map(|(index, ..)| *index)).collect();
        steps.push(silence(&all));
        steps
    }
}

/// Applies each change independently and reports one refusal. Uses its own socket, since the kernel's answers
/// after a refusal are not read.
fn apply(changes: &[Change]) -> Result<()> {
    Netlink::open()?.apply(changes)
}

/// Keeps the kernel from giving interfaces an IPv6 address, which it would announce, and from forwarding
/// packets that arrive there.
fn silence(interfaces: &[u32]) -> Result<()> {
    let change = |message| Change { what: "keep the machine from sending on the wire".into(), message };
    let silent = interfaces.iter().map(|index| change(RouteNetlinkMessage::SetLink(silent(*index))));
    apply(&silent.collect::<Vec<_>>())?;
    let addresses = Netlink::open()?.ipv6_addresses()?;
    let ours = addresses.into_iter().filter(|address| interfaces.contains(&address.header.index));
    apply(&ours.map(|address| change(RouteNetlinkMessage::DelAddress(address))).collect::<Vec<_>>())
}

/// Disables IPv4 forwarding and automatic IPv6 addresses.
fn silent(index: u32) -> LinkMessage {
    // Written out, since the crate omits zero values.
    let forwarding = DefaultNla::new(IPV4_DEVCONF_FORWARDING, 0_u32.to_ne_bytes().to_vec());
    let mut parameters = vec![0; forwarding.buffer_len()];
    forwarding.emit(&mut parameters);
    let inet = AfSpecInet::Other(DefaultNla::new(IFLA_INET_CONF, parameters));
    let inet6 = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes = vec![LinkAttribute::AfSpecUnspec(vec![
        AfSpecUnspec::Inet(vec![inet]),
        AfSpecUnspec::Inet6(vec![inet6]),
    ])];
    link
}
