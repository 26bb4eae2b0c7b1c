//! The lab's network: the switch with a bridge for each segment, and the interfaces on the hosts' side.
//!
//! A link is a veth pair: one end is a port of the bridge, the other is created directly inside the host.
//! Neither gets IPv6 addresses, or router solicitations and multicast listener reports would appear in every
//! capture. A port accepts only what its host may send (see [`wire`]).

use std::{fs, io, net::Ipv4Addr, ops::Range, time::Instant};

use ipnet::Ipv4Net;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage, AddressScope},
    link::{
        BridgePortState, BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData,
        InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    },
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::Pid,
};

use crate::{
    Error, Result,
    capture::Interface,
    error::Context,
    kernel::netlink::{Change, LinkNews, Netlink},
    runtime::{Warning, wire},
    topology::{HostPlan, LinkPlan, Plan},
};

/// The longest interface name.
const IFNAMSIZ: usize = 15;

// netlab assigns interface numbers, so that one message can refer to what another creates. They start well
// above those of the tunnels that some kernels put into every new namespace. The two ends of a link must
// differ: the kernel takes ends with the same number for a physical interface and reports their carrier with
// up to a second's delay.
const FIRST_BRIDGE: u32 = 1_000;
const FIRST_PORT: u32 = 10_000;
const FIRST_LINK: u32 = 10;
const LOOPBACK: u32 = 1;

/// Returns the bridges of a plan's segments, in the plan's order.
pub fn bridges(plan: &Plan) -> Vec<Interface> {
    let bridge = |(n, segment): (usize, &crate::topology::SegmentPlan)| {
        let named = format!("br-{}", segment.name);
        let device = if named.len() <= IFNAMSIZ { named } else { format!("nl{n}") };
        Interface { name: segment.name.clone(), device }
    };
    plan.segments.iter().enumerate().map(bridge).collect()
}

/// The switch, in this process's network namespace.
pub struct Switch {
    netlink: Netlink,
    news: LinkNews,
    /// The ports that must start forwarding.
    ports: Range<u32>,
    /// Why they could not be locked to their hosts, if so.
    unlocked: Option<Error>,
}

impl Switch {
    /// Builds the bridges and a link for each attachment of the hosts, whose PID 1s are `inits`.
    pub fn build(plan: &Plan, inits: &[Pid]) -> Result<Self> {
        sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        let mut changes = Vec::new();
        for (bridge, index) in bridges(plan).iter().zip(FIRST_BRIDGE..) {
            changes.push(Change {
                what: format!("make the bridge of segment {}", bridge.name),
                message: RouteNetlinkMessage::NewLink(bridge_message(&bridge.device, index)),
            });
        }
        for (n, init) in inits.iter().enumerate() {
            changes.extend(attachments(plan, n, *init)?);
        }
        let locks: Vec<_> = (0..inits.len()).flat_map(|n| locks(plan, n)).collect();
        let last = plan.hosts.len().checked_sub(1).map_or(FIRST_PORT, |last| ports(plan, last).end);
        Self::apply(&changes, &locks, FIRST_PORT..last)
    }

    /// Attaches one host, number `n` of the plan, again. Whatever is left of its links is removed first.
    pub fn attach(plan: &Plan, n: usize, init: Pid) -> Result<Self> {
        detach(plan, n)?;
        Self::apply(&attachments(plan, n, init)?, &locks(plan, n), ports(plan, n))
    }

    fn apply(changes: &[Change], locks: &[Change], ports: Range<u32>) -> Result<Self> {
        let (netlink, news) = (Netlink::open()?, LinkNews::open()?);
        netlink.apply(changes)?;
        // On a separate socket, since the kernel's answers after a refusal are not read.
        let unlocked = Netlink::open()?.apply(locks).err();
        Ok(Self { netlink, news, ports, unlocked })
    }

    /// Returns the warning about a wire on which hosts can send with each other's addresses.
    pub fn warning(&self) -> Option<Warning> {
        self.unlocked.as_ref().map(|why| wire::is_open(&why.with_causes()))
    }

    /// Waits until every port forwards: until then a bridge drops frames, and a lost first SYN is resent only
    /// a second later.
    pub fn wait_forwarding(&self, deadline: Instant) -> Result<()> {
        loop {
            self.news.drain();
            let links = self.netlink.links()?;
            let ours = links.iter().filter(|l| self.ports.contains(&l.header.index));
            let forwarding = ours.filter(|l| is_forwarding(l)).count();
            if forwarding == self.ports.len() {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::lab(format!(
                    "{} of the lab's {} links did not come up",
                    self.ports.len() - forwarding,
                    self.ports.len()
                )));
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(&self.news), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Err(nix::errno::Errno::EINTR) => {}
                other => other.map(drop).or_lab(|| "cannot wait for the lab's links")?,
            }
        }
    }
}

/// Returns the switch's ports of host number `n` of the plan.
fn ports(plan: &Plan, n: usize) -> Range<u32> {
    let count = |hosts: &[HostPlan]| hosts.iter().flat_map(|h| &h.links).fold(0, |count, _| count + 1);
    FIRST_PORT + count(&plan.hosts[..n])..FIRST_PORT + count(&plan.hosts[..=n])
}

/// Returns the changes that create the links of host number `n` of the plan.
fn attachments(plan: &Plan, n: usize, init: Pid) -> Result<Vec<Change>> {
    let host = &plan.hosts[n];
    let attachment = |(port, (n, link)): (u32, (u32, &LinkPlan))| {
        let segment = (FIRST_BRIDGE..).zip(&plan.segments).find(|(_, s)| s.name == link.segment);
        let (bridge, _) = segment
            .ok_or_else(|| Error::usage(format!("{} is not on a segment {}", host.name, link.segment)))?;
        Ok(Change {
            what: format!("attach {} to {}", host.name, link.segment),
            message: RouteNetlinkMessage::NewLink(veth_message(port, bridge, init, n, link.address)),
        })
    };
    ports(plan, n).zip((0..).zip(&host.links)).map(attachment).collect()
}

/// Returns the changes that lock the ports of host number `n` of the plan to that host.
fn locks(plan: &Plan, n: usize) -> Vec<Change> {
    let host = &plan.hosts[n];
    let lock = |(port, link): (u32, &LinkPlan)| {
        let name = format!("the port of {} on {}", host.name, link.segment);
        wire::lock::incoming(port, &name, &wire::sender::only(host, link))
    };
    ports(plan, n).zip(&host.links).flat_map(lock).collect()
}

/// Removes every link of host number `n` of the plan.
pub fn detach(plan: &Plan, n: usize) -> Result<()> {
    let netlink = Netlink::open()?;
    ports(plan, n).try_for_each(|port| netlink.remove(port))
}

fn bridge_message(name: &str, index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    up(&mut link);
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![
                InfoBridge::StpState(BridgeStpState::Disabled),
                InfoBridge::ForwardDelay(0),
                InfoBridge::MulticastSnooping(false),
            ])),
        ]),
    ];
    link
}

/// Returns the message that creates a veth pair of port `port` of `bridge` and the host's link number `n`.
fn veth_message(port: u32, bridge: u32, init: Pid, n: u32, address: Ipv4Addr) -> LinkMessage {
    let mut inside = LinkMessage::default();
    inside.header.index = FIRST_LINK + n;
    inside.attributes = vec![
        LinkAttribute::IfName(format!("eth{n}")),
        LinkAttribute::Address(wire::sender::hardware_address(address).to_vec()),
        LinkAttribute::NetNsPid(init.as_raw().cast_unsigned()),
    ];
    let mut outside = LinkMessage::default();
    outside.header.index = port;
    up(&mut outside);
    outside.attributes = vec![
        LinkAttribute::IfName(format!("port{}", port - FIRST_PORT)),
        LinkAttribute::Controller(bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inside))),
        ]),
    ];
    outside
}

fn up(link: &mut LinkMessage) {
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
}

fn is_forwarding(link: &LinkMessage) -> bool {
    let forwards = |port: &InfoBridgePort| *port == InfoBridgePort::State(BridgePortState::Forwarding);
    link.attributes.iter().any(|attribute| {
        let LinkAttribute::LinkInfo(infos) = attribute else { return false };
        infos.iter().any(|info| {
            matches!(info, LinkInfo::PortData(InfoPortData::BridgePort(port)) if port.iter().any(forwards))
        })
    })
}

/// Sets up the links of the host that this process is in; its PID 1 does the rest.
pub fn configure(host: &HostPlan) -> Result<()> {
    // Not for the loopback interface, which may keep ::1.
    sysctl("ipv6/conf/default/disable_ipv6", "1")?;
    for n in 0..host.links.len() {
        sysctl(&format!("ipv6/conf/eth{n}/disable_ipv6"), "1")?;
    }
    // A new namespace inherits this from the machine, which forwards if Docker runs on it.
    sysctl("ipv4/ip_forward", "0")?;

    let mut changes = vec![bring_up(LOOPBACK, "lo")];
    for (n, link) in (0..).zip(&host.links) {
        let net = Ipv4Net::new(link.address, link.prefix_len)
            .or_usage(|| format!("{}: no prefix has {} bits", host.name, link.prefix_len))?;
        changes.push(Change {
            what: format!("give eth{n} the address {net}"),
            message: RouteNetlinkMessage::NewAddress(address_message(FIRST_LINK + n, net)),
        });
        changes.push(bring_up(FIRST_LINK + n, &format!("eth{n}")));
    }
    Netlink::open()?.apply(&changes)
}

fn bring_up(index: u32, name: &str) -> Change {
    let mut link = LinkMessage::default();
    link.header.index = index;
    up(&mut link);
    Change { what: format!("bring up {name}"), message: RouteNetlinkMessage::SetLink(link) }
}

fn address_message(index: u32, net: Ipv4Net) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = net.prefix_len();
    message.header.scope = AddressScope::Universe;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(net.addr().into()),
        AddressAttribute::Address(net.addr().into()),
        AddressAttribute::Broadcast(net.broadcast()),
    ];
    message
}

/// Sets a parameter of this process's network namespace, if the kernel has it.
fn sysctl(name: &str, value: &str) -> Result<()> {
    match fs::write(format!("/proc/sys/net/{name}"), value) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.or_lab(|| format!("cannot set net/{name} to {value}")),
    }
}
