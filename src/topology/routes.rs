//! Finds the routes between segments.

use std::collections::{BTreeMap, VecDeque};

use super::{LinkPlan, Role, Route, SegmentPlan, Topology};

/// Returns every host's routes to the segments that it is not on but can reach, through the fewest routers.
pub(super) fn routes(
    topology: &Topology,
    segments: &[SegmentPlan],
    links: &[Vec<LinkPlan>],
) -> Vec<Vec<Route>> {
    let hosts = 0..topology.hosts.len();
    hosts.map(|host| routes_of(host, topology, segments, links)).collect()
}

/// Does a breadth-first search from the host's own segments: every segment is reached first by one of the shortest
/// ways, and the file's order decides between those.
fn routes_of(
    host: usize,
    topology: &Topology,
    segments: &[SegmentPlan],
    links: &[Vec<LinkPlan>],
) -> Vec<Route> {
    let on = |host: usize| topology.hosts[host].links.iter().map(|l| l.segment).zip(&links[host]);
    let mut routers: Vec<usize> =
        (0..topology.hosts.len()).filter(|r| *r != host && topology.hosts[*r].role == Role::Router).collect();

    let own: Vec<_> = on(host).map(|(segment, _)| segment).collect();
    let mut via = BTreeMap::new();
    let mut queue = VecDeque::from(own.clone());
    while let Some(segment) = queue.pop_front() {
        // A router that was reached once leads nowhere new.
        routers.retain(|router| {
            let Some((_, link)) = on(*router).find(|(s, _)| *s == segment) else { return true };
            let first_hop = via.get(&segment).copied().unwrap_or(link.address);
            for (next, _) in on(*router) {
                if !own.contains(&next) && !via.contains_key(&next) {
                    via.insert(next, first_hop);
                    queue.push_back(next);
                }
            }
            false
        });
    }
    via.into_iter().map(|(segment, via)| Route { to: segments[segment].subnet, via }).collect()
}
