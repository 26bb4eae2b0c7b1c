//! Sets routes to segments behind a router (rtnetlink(7)).

use netlab::{
    Result,
    kernel::netlink::{Change, Netlink},
    topology::Route,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
};
use nix::errno::Errno;

/// Adds a route, replacing one to the same subnet.
pub fn replace(route: &Route) -> Result<()> {
    let what = format!("add the route to {} via {}", route.to, route.via);
    Netlink::open()?.apply(&[Change { what, message: RouteNetlinkMessage::NewRoute(message(route)) }])
}

/// Removes the default route, if there is one: a lab has no way out.
pub fn remove_default() -> Result<()> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.scope = RouteScope::NoWhere;
    Netlink::open()?.delete("remove the default route", RouteNetlinkMessage::DelRoute(message), Errno::ESRCH)
}

fn message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = route.to.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::Inet(route.to.network())),
        RouteAttribute::Gateway(RouteAddress::Inet(route.via)),
    ];
    message
}
