//! Decides who may send on a port, as a classic BPF program.
//!
//! Classic, because the kernel accepts it from everyone who may change the port, even in a user namespace,
//! and because there is nothing to compile or to load from a file.

use std::net::Ipv4Addr;

use nix::libc;

use crate::topology::{HostPlan, LinkPlan, Role};

/// A direct-action filter's verdict on a frame (`linux/pkt_cls.h`): TC_ACT_SHOT.
const DROP: u32 = 2;
/// TC_ACT_UNSPEC: the frame is handled as if there were no filter.
const PASS: u32 = u32::MAX;

const IPV4: u32 = 0x0800;
const ARP: u32 = 0x0806;
/// Forbidden protocols: IPv6, since no host has an IPv6 address, and VLAN tags, behind which a frame could
/// carry what is not checked there; the kernel unpacks even several tags of VLAN 0. The last one predates
/// 802.1ad.
const FORBIDDEN: [u32; 4] = [0x86dd, 0x8100, 0x88a8, 0x9100];

/// Offsets of fields in a frame, in bytes.
const DESTINATION: u32 = 0;
const SOURCE: u32 = 6;
const TYPE: u32 = 12;
const IPV4_SOURCE: u32 = 26;
const ARP_FORM: u32 = 14;
const ARP_LENGTHS: u32 = 18;
const ARP_HARDWARE: u32 = 22;
const ARP_ADDRESS: u32 = 28;

/// Minimum length of a frame with a complete IPv4 header, and with ARP between IPv4 hosts on Ethernet.
const IPV4_LEAST: u32 = 34;
const ARP_LEAST: u32 = 42;

/// Loads the tag that the kernel has already removed from a frame.
const VLAN_TAG_PRESENT: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_VLAN_TAG_PRESENT).cast_unsigned();

/// One instruction: the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u32,
    /// How many instructions to skip if the comparison holds, and if not.
    skip: (u8, u8),
    k: u32,
}

/// A program; its bytes are in the machine's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// A program that drops everything.
    pub fn drop_all() -> Self {
        Self(vec![done(DROP)])
    }

    /// Returns the number of instructions.
    pub fn instructions(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }

    /// Returns the instructions as the kernel reads them.
    pub fn bytes(&self) -> Vec<u8> {
        let bytes = |i: &Instruction| {
            let mut bytes = [0; 8];
            bytes[..2].copy_from_slice(&u16::try_from(i.code).unwrap_or_default().to_ne_bytes());
            bytes[2..4].copy_from_slice(&[i.skip.0, i.skip.1]);
            bytes[4..].copy_from_slice(&i.k.to_ne_bytes());
            bytes
        };
        self.0.iter().flat_map(bytes).collect()
    }
}

/// Returns the hardware address of the link with this IP address: locally administered, and containing the IP
/// address, so that it shows whose it is.
pub fn hardware_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// Lets a host send on one of its links as itself: with that link's hardware address, and from any of the
/// host's IP addresses, since the kernel may choose any of them on any link. A router also forwards what
/// others sent.
pub fn only(host: &HostPlan, link: &LinkPlan) -> Program {
    let addresses: Vec<u32> = host.links.iter().map(|l| l.address.to_bits()).collect();
    let hardware = hardware_address(link.address);
    let mut ipv4 = at_least(IPV4_LEAST);
    if host.role != Role::Router {
        ipv4.extend(one_of(word(IPV4_SOURCE), &addresses));
    }
    let mut arp = at_least(ARP_LEAST);
    // Only for Ethernet and IPv4: otherwise the addresses are elsewhere.
    arp.extend(one_of(word(ARP_FORM), &[0x0001_0800]));
    arp.extend(one_of(half(ARP_LENGTHS), &[0x0604]));
    arp.extend(is_hardware(ARP_HARDWARE, hardware));
    arp.extend(one_of(word(ARP_ADDRESS), &addresses));

    let mut program = one_of(word(VLAN_TAG_PRESENT), &[0]);
    program.extend(is_hardware(SOURCE, hardware));
    program.extend(no_link_local_group());
    program.push(half(TYPE));
    for (kind, mut checks) in [(IPV4, ipv4), (ARP, arp)] {
        checks.push(done(PASS));
        program.push(unless_equal(kind, checks.len()));
        program.extend(checks);
    }
    for kind in FORBIDDEN {
        program.extend([unless_equal(kind, 1), done(DROP)]);
    }
    program.push(done(PASS));
    Program(program)
}

/// A bridge does not forward frames to 01:80:c2:00:00:0x but passes them to the machine, as if they had
/// arrived at the port itself.
fn no_link_local_group() -> Vec<Instruction> {
    vec![
        word(DESTINATION),
        unless_equal(0x0180_c200, 4),
        half(DESTINATION + 4),
        alu(libc::BPF_AND, 0xfff0),
        unless_equal(0, 1),
        done(DROP),
    ]
}

fn is_hardware(at: u32, address: [u8; 6]) -> Vec<Instruction> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let mut checks = one_of(word(at), &[number(&address[..4])]);
    checks.extend(one_of(half(at + 4), &[number(&address[4..])]));
    checks
}

/// Drops a frame unless the loaded value is one of these.
fn one_of(load: Instruction, allowed: &[u32]) -> Vec<Instruction> {
    let mut checks = vec![load];
    checks.extend(allowed.iter().zip((1..=allowed.len()).rev()).map(|(value, to_end)| Instruction {
        code: libc::BPF_JMP | libc::BPF_JEQ,
        skip: (u8::try_from(to_end).unwrap_or(u8::MAX), 0),
        k: *value,
    }));
    checks.push(done(DROP));
    checks
}

/// Drops a frame that is shorter. A program that reads beyond a frame's end would let it pass.
fn at_least(length: u32) -> Vec<Instruction> {
    let long_enough = Instruction { code: libc::BPF_JMP | libc::BPF_JGE, skip: (1, 0), k: length };
    vec![load(libc::BPF_W | libc::BPF_LEN, 0), long_enough, done(DROP)]
}

fn unless_equal(value: u32, skip: usize) -> Instruction {
    let skip = (0, u8::try_from(skip).unwrap_or(u8::MAX));
    Instruction { code: libc::BPF_JMP | libc::BPF_JEQ, skip, k: value }
}

fn word(at: u32) -> Instruction {
    load(libc::BPF_W | libc::BPF_ABS, at)
}

fn half(at: u32) -> Instruction {
    load(libc::BPF_H | libc::BPF_ABS, at)
}

fn load(how: u32, at: u32) -> Instruction {
    Instruction { code: libc::BPF_LD | how, skip: (0, 0), k: at }
}

fn alu(operation: u32, k: u32) -> Instruction {
    Instruction { code: libc::BPF_ALU | operation, skip: (0, 0), k }
}

fn done(verdict: u32) -> Instruction {
    Instruction { code: libc::BPF_RET, skip: (0, 0), k: verdict }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io::ErrorKind,
        os::{fd::AsRawFd, unix::net::UnixDatagram},
    };

    use super::*;
    use crate::topology::Limits;

    const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
    const OWN_TOO: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 2);
    const OTHER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);

    fn host(role: Role) -> HostPlan {
        let link = |segment: &str, address| LinkPlan { segment: segment.into(), address, prefix_len: 24 };
        HostPlan {
            name: "host".into(),
            role,
            links: vec![link("here", OWN), link("there", OWN_TOO)],
            routes: Vec::new(),
            run: None,
            env: BTreeMap::new(),
            mounts: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Asks the kernel itself: the program is attached to a socket, where its return value is how much of a
    /// message is kept.
    fn passes(program: &Program, frame: &[u8]) -> bool {
        let mut instructions: Vec<u64> =
            program.bytes().chunks_exact(8).map(|i| u64::from_ne_bytes(i.try_into().unwrap())).collect();
        let filter =
            libc::sock_fprog { len: program.instructions(), filter: instructions.as_mut_ptr().cast() };
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        receiver.set_nonblocking(true).unwrap();
        let length = libc::socklen_t::try_from(size_of_val(&filter)).unwrap();
        // SAFETY: the kernel reads this many instructions of eight bytes, and keeps no pointer.
        #[allow(unsafe_code)]
        let set = unsafe {
            let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
            libc::setsockopt(receiver.as_raw_fd(), level, option, (&raw const filter).cast(), length)
        };
        assert_eq!(set, 0, "the kernel takes the program");
        sender.send(frame).unwrap();
        let mut buffer = [0; 256];
        match receiver.recv(&mut buffer) {
            Ok(kept) if kept == frame.len() => true,
            Ok(kept) => {
                assert_eq!(kept, DROP as usize);
                false
            }
            // TC_ACT_OK, returned by a program that reads beyond the end, would let it pass.
            Err(e) if e.kind() == ErrorKind::WouldBlock => true,
            Err(e) => panic!("{e}"),
        }
    }

    fn frame(from: Ipv4Addr, kind: u16, payload: &[u8]) -> Vec<u8> {
        [&[0xff; 6], &hardware_address(from)[..], &kind.to_be_bytes(), payload].concat()
    }

    fn ipv4(source: Ipv4Addr) -> Vec<u8> {
        let rest = [&source.octets()[..], &OTHER.octets()].concat();
        [&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0], &rest[..]].concat()
    }

    fn arp(hardware: Ipv4Addr, address: Ipv4Addr) -> Vec<u8> {
        let sender = [&hardware_address(hardware)[..], &address.octets()].concat();
        [&[0, 1, 8, 0, 6, 4, 0, 1], &sender[..], &[0; 6], &OTHER.octets()].concat()
    }

    fn own(role: Role) -> Program {
        let host = host(role);
        only(&host, &host.links[0])
    }

    #[test]
    fn a_host_speaks_as_itself() {
        let program = own(Role::Client);
        for (frame, may) in [
            (frame(OWN, 0x0800, &ipv4(OWN)), true),
            // From another link's address, which the kernel may choose.
            (frame(OWN, 0x0800, &ipv4(OWN_TOO)), true),
            (frame(OWN, 0x0806, &arp(OWN, OWN)), true),
            (frame(OWN, 0x0806, &arp(OWN, OWN_TOO)), true),
            (frame(OWN, 0x88b5, b"an experiment"), true),
            (frame(OTHER, 0x0800, &ipv4(OWN)), false),
            (frame(OWN_TOO, 0x0800, &ipv4(OWN)), false),
            (frame(OWN, 0x0800, &ipv4(OTHER)), false),
            (frame(OWN, 0x0806, &arp(OTHER, OWN)), false),
            (frame(OWN, 0x0806, &arp(OWN, OTHER)), false),
            (frame(OTHER, 0x88b5, b"an experiment"), false),
        ] {
            assert_eq!(passes(&program, &frame), may, "{frame:02x?}");
        }
    }

    #[test]
    fn a_router_passes_on_what_others_sent_and_is_itself_on_the_link() {
        let program = own(Role::Router);
        assert!(passes(&program, &frame(OWN, 0x0800, &ipv4(OTHER))));
        assert!(!passes(&program, &frame(OTHER, 0x0800, &ipv4(OTHER))));
        assert!(!passes(&program, &frame(OWN, 0x0806, &arp(OWN, OTHER))));
    }

    #[test]
    fn nothing_is_hidden_from_the_check() {
        let program = own(Role::Client);
        let tagged = [&[0, 0, 8, 0], &ipv4(OTHER)[..]].concat();
        for kind in FORBIDDEN {
            let kind = u16::try_from(kind).unwrap();
            assert!(!passes(&program, &frame(OWN, kind, &tagged)), "{kind:04x}");
        }
        // Cut off before the address, and ARP of other lengths, whose addresses are elsewhere.
        assert!(!passes(&program, &frame(OWN, 0x0800, &ipv4(OWN)[..14])));
        assert!(!passes(&program, &frame(OWN, 0x0806, &arp(OWN, OWN)[..12])));
        let mut long = arp(OWN, OWN);
        long[4] = 8;
        assert!(!passes(&program, &frame(OWN, 0x0806, &long)));
    }

    #[test]
    fn what_a_bridge_hands_to_the_machine_is_dropped() {
        let program = own(Role::Client);
        let to = |destination: [u8; 6]| {
            let mut frame = frame(OWN, 0x0800, &ipv4(OWN));
            frame[..6].copy_from_slice(&destination);
            passes(&program, &frame)
        };
        assert!(!to([0x01, 0x80, 0xc2, 0, 0, 0x00]));
        assert!(!to([0x01, 0x80, 0xc2, 0, 0, 0x0e]));
        assert!(to([0x01, 0x80, 0xc2, 0, 0, 0x10]));
        assert!(to([0x01, 0x80, 0xc2, 0, 1, 0x0e]));
        assert!(to([0x02, 0x80, 0xc2, 0, 0, 0x0e]));
    }

    #[test]
    fn nothing_passes_where_all_is_dropped() {
        assert!(!passes(&Program::drop_all(), &frame(OWN, 0x0800, &ipv4(OWN))));
    }
}
