//! Chooses the subnets and addresses that a file leaves open.

use std::{collections::HashSet, net::Ipv4Addr};

use ipnet::Ipv4Net;

use super::{LinkPlan, SegmentPlan, Topology};
use crate::{Error, Result, yaml};

/// Reserved for tests of network devices (RFC 2544, RFC 5735), so clear of home routers, VPNs and Docker's pools.
const POOL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

/// The prefix length of the smallest subnet chosen for a segment, in bits.
const DEFAULT_PREFIX: u8 = 24;

/// Returns every segment with its subnet.
pub(super) fn subnets(topology: &Topology, taken: &[Ipv4Net]) -> Result<Vec<SegmentPlan>> {
    check_free(topology, taken)?;
    let fixed = topology.segments.iter().filter_map(|s| s.subnet);
    let mut used: Vec<_> = taken.iter().copied().chain(fixed).collect();
    let mut plans = Vec::new();
    for (i, segment) in topology.segments.iter().enumerate() {
        let subnet = match segment.subnet {
            Some(subnet) => subnet,
            None => free(prefix_for(topology.hosts_on(i)).min(DEFAULT_PREFIX), &used).ok_or_else(|| {
                Error::lab(format!("no subnet of {POOL} is free for the segment `{}`", segment.name))
                    .hint("take down labs that are no longer needed, or give the segment a `subnet`")
            })?,
        };
        used.push(subnet);
        plans.push(SegmentPlan { name: segment.name.clone(), subnet });
    }
    Ok(plans)
}

/// Rejects subnets of the file that are in use on this machine.
fn check_free(topology: &Topology, taken: &[Ipv4Net]) -> Result<()> {
    let mut problems = topology.document.problems();
    for segment in &topology.segments {
        let clash = segment.subnet.and_then(|subnet| taken.iter().find(|t| overlap(subnet, **t)));
        if let Some(clash) = clash {
            let path = yaml::Path::default().key("segments").key(&segment.name).key("subnet");
            let expected = "a free subnet, or no `subnet` to let netlab choose one";
            let message = format!("overlaps with {clash}, which is in use on this machine");
            problems.add(|| topology.document.value(&path, message).expected(expected));
        }
    }
    Ok(problems.into_result(Some(()))?)
}

/// Returns the first subnet of this prefix length in the pool that overlaps none of those used.
fn free(prefix: u8, used: &[Ipv4Net]) -> Option<Ipv4Net> {
    POOL.subnets(prefix).ok()?.find(|candidate| !used.iter().any(|u| overlap(*candidate, *u)))
}

/// Returns whether two subnets have an address in common.
pub(super) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// Returns the longest prefix, in bits, of a subnet with room for this many hosts besides the network's address,
/// the bridge's and the broadcast address.
pub(super) fn prefix_for(hosts: usize) -> u8 {
    let needed = (hosts + 3).next_power_of_two();
    32 - u8::try_from(needed.trailing_zeros()).unwrap_or(32).min(32)
}

/// Returns every host's links with their addresses: those given in the file, and for the rest the free ones in the
/// file's order, starting with the second usable address.
pub(super) fn links(topology: &Topology, segments: &[SegmentPlan]) -> Vec<Vec<LinkPlan>> {
    let given = topology.hosts.iter().flat_map(|h| &h.links).filter_map(|l| Some((l.segment, l.address?)));
    let given: HashSet<_> = given.collect();
    let mut open: Vec<_> = segments.iter().map(|s| s.subnet.hosts().skip(1)).collect();
    let mut address = |link: &super::Link| {
        link.address.unwrap_or_else(|| {
            let rest = &mut open[link.segment];
            // A subnet of the file was checked for room; one of ours was chosen with room.
            rest.find(|a| !given.contains(&(link.segment, *a))).expect("a subnet with room")
        })
    };
    let mut plan = |link: &super::Link| LinkPlan {
        segment: segments[link.segment].name.clone(),
        address: address(link),
        prefix_len: segments[link.segment].subnet.prefix_len(),
    };
    topology.hosts.iter().map(|h| h.links.iter().map(&mut plan).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_room_for_its_hosts_the_bridge_and_the_two_ends() {
        for (hosts, prefix) in [(1, 30), (2, 29), (5, 29), (6, 28), (253, 24), (254, 23), (1000, 22)] {
            assert_eq!(prefix_for(hosts), prefix, "{hosts} hosts");
        }
    }

    #[test]
    fn the_first_free_subnet_is_taken() {
        let net = |s: &str| s.parse::<Ipv4Net>().unwrap();
        assert_eq!(free(24, &[]), Some(net("198.18.0.0/24")));
        assert_eq!(free(24, &[net("198.18.0.0/23"), net("198.18.2.128/25")]), Some(net("198.18.3.0/24")));
        assert_eq!(free(22, &[net("198.18.0.0/30")]), Some(net("198.18.4.0/22")));
        assert_eq!(free(24, &[net("198.0.0.0/8")]), None);
    }
}
