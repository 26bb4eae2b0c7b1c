//! Forged frames, and frames to the machine.

use std::{
    fs::File,
    io::{BufRead, BufReader, Lines},
    net::{Ipv4Addr, Ipv6Addr, UdpSocket},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use etherparse::PacketBuilder;
use nix::sched::{CloneFlags, setns};

use super::ground::{Ground, Lab, unique};

const RAW: &str = include_str!("raw.c");
/// Path of the program on a host.
const PROGRAM: &str = "/root/raw";
/// What an honest host sends last: everything sent before has arrived by then, or was dropped.
const END: &str = "that is all";
const BROADCAST: [u8; 6] = [0xff; 6];

/// The attacks of this file.
pub fn add(add: &mut impl FnMut(&str, fn(&Ground)), ground: &Ground) {
    add("a_host_cannot_speak_as_another", a_host_cannot_speak_as_another);
    add("a_host_that_comes_back_cannot_either", a_host_that_comes_back_cannot_either);
    add("a_capture_proves_who_spoke", a_capture_proves_who_spoke);
    add("a_router_still_passes_on", a_router_still_passes_on);
    if ground.runtime == "docker" {
        add("nothing_gains_a_privilege", nothing_gains_a_privilege);
    }
    // If the wire is among the machine's interfaces, and the test may create an interface there.
    if ground.runtime == "docker" && ground.is_root() {
        add("the_machine_is_off_the_wire", the_machine_is_off_the_wire);
    }
}

/// A host with the program on it.
struct Host<'l> {
    lab: &'l Lab<'l>,
    name: &'static str,
    address: Ipv4Addr,
    hardware: [u8; 6],
}

impl<'l> Host<'l> {
    fn of(lab: &'l Lab<'l>, name: &'static str) -> Self {
        lab.compile(name, RAW, PROGRAM);
        let address: Ipv4Addr = lab.sh(name, "hostname -I").stdout.trim().parse().unwrap();
        let hardware = hardware(&lab.sh(name, "cat /sys/class/net/eth0/address").stdout);
        Self { lab, name, address, hardware }
    }

    fn send(&self, frames: &[Vec<u8>]) {
        let frames: Vec<String> = frames.iter().map(|frame| hex(frame)).collect();
        let mut argv = vec![PROGRAM, "send"];
        argv.extend(frames.iter().map(String::as_str));
        let said = self.lab.exec(self.name, &argv);
        assert_eq!(said.code, 0, "{said:?}");
    }

    /// Starts listening.
    fn listen(&self) -> Heard {
        let exec = ["exec", "--lab", &self.lab.name, self.name, "--", PROGRAM, "hear", END];
        let mut child = self.lab.ground.netlab(&exec).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "listening");
        Heard { child, lines }
    }

    fn end(&self) -> Vec<u8> {
        to_all(self.hardware, self.address, END)
    }
}

/// What a host hears.
struct Heard {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Heard {
    /// Returns everything up to the end, one frame per line.
    fn all(mut self) -> String {
        let all: Vec<String> = self.lines.map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success(), "the end arrived: {all:?}");
        all.join("\n")
    }
}

/// Parses a hardware address.
fn hardware(text: &str) -> [u8; 6] {
    let bytes = text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap());
    bytes.collect::<Vec<u8>>().try_into().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn udp(from: ([u8; 6], Ipv4Addr), to: ([u8; 6], Ipv4Addr), port: u16, text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(from.0, to.0).ipv4(from.1.octets(), to.1.octets(), 64);
    builder.udp(7777, port).write(&mut frame, text.as_bytes()).unwrap();
    frame
}

/// Builds a datagram to every host of the segment.
fn to_all(hardware: [u8; 6], address: Ipv4Addr, text: &str) -> Vec<u8> {
    udp((hardware, address), (BROADCAST, Ipv4Addr::BROADCAST), 7777, text)
}

fn arp(frame_from: [u8; 6], hardware: [u8; 6], address: Ipv4Addr, text: &str) -> Vec<u8> {
    let head = [&BROADCAST[..], &frame_from, &[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    [&head, &hardware[..], &address.octets(), &[0; 6], &address.octets(), text.as_bytes()].concat()
}

/// Builds the same frame behind VLAN tags of number 0, which the kernel unpacks for every host.
fn tagged(frame: &[u8], tags: &[u16]) -> Vec<u8> {
    let tags: Vec<u8> = tags.iter().flat_map(|kind| [&kind.to_be_bytes()[..], &[0, 0]].concat()).collect();
    [&frame[..12], &tags, &frame[12..]].concat()
}

fn a_host_cannot_speak_as_another(ground: &Ground) {
    let lab = ground.up();
    let [server, liar, witness] = ["server", "client1", "client2"].map(|name| Host::of(&lab, name));
    let (own, address) = (liar.hardware, liar.address);
    let forged = to_all(own, server.address, "forged behind a tag");
    let heard = witness.listen();
    liar.send(&[
        to_all(own, address, "honest datagram"),
        arp(own, own, address, "honest arp"),
        to_all(server.hardware, address, "forged hardware address"),
        to_all(own, server.address, "forged address"),
        to_all(server.hardware, server.address, "forged both"),
        to_all(own, Ipv4Addr::UNSPECIFIED, "forged nobody"),
        arp(own, own, server.address, "forged arp"),
        arp(own, server.hardware, address, "forged arp hardware"),
        arp(server.hardware, server.hardware, server.address, "forged arp both"),
        tagged(&forged, &[0x8100]),
        tagged(&forged, &[0x8100, 0x8100]),
        tagged(&forged, &[0x88a8, 0x8100]),
        tagged(&to_all(own, address, "forged ipv6"), &[0x86dd]),
        liar.end(),
    ]);
    let heard = heard.all();
    assert!(heard.contains("honest datagram") && heard.contains("honest arp"), "{heard}");
    assert!(!heard.contains("forged"), "{heard}");
}

fn a_capture_proves_who_spoke(ground: &Ground) {
    let lab = ground.up();
    let [server, liar, witness] = ["server", "client1", "client2"].map(|name| Host::of(&lab, name));
    let started = ground.run(&["capture", "start", "--lab", &lab.name, "--captures", &lab.name, "all"]);
    assert_eq!(started.code, 0, "{started:?}");
    let syn = |from: &Host, port: u16| {
        let mut frame = Vec::new();
        let ethernet = PacketBuilder::ethernet2(from.hardware, witness.hardware);
        let ip = ethernet.ipv4(from.address.octets(), witness.address.octets(), 64);
        ip.tcp(port, 8001, 1, 1000).syn().write(&mut frame, &[]).unwrap();
        frame
    };
    liar.send(&[syn(&server, 4242), syn(&liar, 4343)]);
    let stopped = ground.run(&["capture", "stop", "--captures", &lab.name]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let shown = ground.run(&["capture", "show", &format!("{}/all.pcapng", lab.name)]);
    assert!(shown.stdout.contains("4343"), "{shown:?}");
    assert!(!shown.stdout.contains("4242"), "{shown:?}");
}

/// A host that is started again has a new port.
fn a_host_that_comes_back_cannot_either(ground: &Ground) {
    let lab = ground.up();
    let reboot = ground.run(&["host", "--lab", &lab.name, "client1", "--reboot"]);
    assert_eq!(reboot.code, 0, "{reboot:?}");
    let [server, liar, witness] = ["server", "client1", "client2"].map(|name| Host::of(&lab, name));
    let heard = witness.listen();
    liar.send(&[
        to_all(liar.hardware, liar.address, "honest datagram"),
        to_all(liar.hardware, server.address, "forged address"),
        liar.end(),
    ]);
    let heard = heard.all();
    assert!(heard.contains("honest datagram") && !heard.contains("forged"), "{heard}");
}

fn a_router_still_passes_on(ground: &Ground) {
    let file = ground.write(
        "router.yaml",
        "segments: {here: {}, there: {}}\nhosts:\n  router: {role: router, links: [here, there]}\n  \
         server: {role: server, links: [there], run: tcpechod 8007}\n  client: {links: [here]}\n",
    );
    let lab = ground.up_with(&["-f", file.to_str().unwrap()]);
    let line = "for i in 1 2 3 4 5 6 7 8 9; do echo hello | tcpecho server 8007 && exit; done; exit 1";
    let said = lab.sh("client", line);
    assert!(said.stdout.contains("hello"), "{said:?}");
}

/// A network of the machine that is not the lab's, like a campus network, with a listener on it.
struct Campus {
    name: String,
    listener: UdpSocket,
}

/// The campus's two addresses: the machine's and a neighbour's.
const MACHINE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

impl Campus {
    fn build() -> Self {
        let name = unique();
        let link = format!("c{}", std::process::id());
        for line in [
            format!("netns add {name}"),
            format!("link add {link} type veth peer name eth0 netns {name}"),
            format!("address add {MACHINE}/24 dev {link}"),
            format!("link set {link} up"),
            format!("-n {name} address add {NEIGHBOUR}/24 dev eth0"),
            format!("-n {name} link set eth0 up"),
        ] {
            let ip = Command::new("ip").args(line.split(' ')).status().unwrap();
            assert!(ip.success(), "ip {line}");
        }
        let inside = format!("/run/netns/{name}");
        // A thread enters a namespace, not its process.
        let listen = std::thread::spawn(move || {
            setns(File::open(inside).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            listener()
        });
        Self { name, listener: listen.join().unwrap() }
    }
}

impl Drop for Campus {
    fn drop(&mut self) {
        // The pair disappears with the end in there.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// A socket that receives over IPv4 and IPv6.
fn listener() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Returns whether `text` arrives before `last`, which is known to arrive.
fn hears(socket: &UdpSocket, text: &str, last: &str) -> bool {
    let mut buffer = [0; 1500];
    loop {
        let (n, _) = socket.recv_from(&mut buffer).expect("the last text arrives");
        match &buffer[..n] {
            found if found == text.as_bytes() => return true,
            found if found == last.as_bytes() => return false,
            _ => {}
        }
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Returns the hardware address of a network's bridge.
fn bridge_of(network: &str) -> [u8; 6] {
    let id = docker(&["network", "inspect", "--format", "{{.Id}}", network]);
    let text = std::fs::read_to_string(format!("/sys/class/net/br-{}/address", &id[..12])).unwrap();
    hardware(&text)
}

/// Builds frames to the machine and beyond it, to every hardware address that it may accept. 01:80:c2:…
/// reaches the next bridge only.
fn to_the_machine(
    from: ([u8; 6], Ipv4Addr),
    bridge: [u8; 6],
    machine: &UdpSocket,
    campus: &UdpSocket,
) -> Vec<Vec<u8>> {
    let (machine, campus) = [machine, campus].map(|socket| socket.local_addr().unwrap().port()).into();
    let mut frames = Vec::new();
    for to in [bridge, BROADCAST, [0x01, 0x80, 0xc2, 0, 0, 0x0e]] {
        frames.push(udp(from, (to, MACHINE), machine, "to the machine"));
        frames.push(udp(from, (to, NEIGHBOUR), campus, "to the campus"));
        frames.push(udp((from.0, MACHINE), (to, NEIGHBOUR), campus, "to the campus"));
    }
    frames
}

/// Builds requests that every service of the machine on `[::]`, and the kernel itself, would answer.
fn questions_by_ipv6(own: [u8; 6], bridge: [u8; 6], port: u16) -> Vec<Vec<u8>> {
    let link_local = |mac: [u8; 6]| {
        let mut address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0];
        address[8..11].copy_from_slice(&mac[..3]);
        address[8] ^= 2;
        address[13..].copy_from_slice(&mac[3..]);
        address
    };
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let (mut echo, mut syn) = (Vec::new(), Vec::new());
    let ethernet = PacketBuilder::ethernet2(own, [0x33, 0x33, 0, 0, 0, 1]);
    let ip = ethernet.ipv6(link_local(own), all_nodes, 255);
    ip.icmpv6_echo_request(1, 1).write(&mut echo, b"is anybody there?").unwrap();
    let ip = PacketBuilder::ethernet2(own, bridge).ipv6(link_local(own), link_local(bridge), 64);
    ip.tcp(4242, port, 1, 1000).syn().write(&mut syn, &[]).unwrap();
    vec![echo, syn]
}

/// The machine is isolated from the wire: what is sent to its bridge neither arrives nor is forwarded nor
/// answered. From an ordinary network of the engine the same frames arrive.
fn the_machine_is_off_the_wire(ground: &Ground) {
    let campus = Campus::build();
    let (machine, service) = (listener(), std::net::TcpListener::bind("[::]:0").unwrap());
    let port = service.local_addr().unwrap().port();
    let lab = ground.up();
    let [liar, witness] = ["client1", "client2"].map(|name| Host::of(&lab, name));

    let bridge = bridge_of(&format!("netlab-{}.lan", lab.name));
    let from = (liar.hardware, liar.address);
    let heard = witness.listen();
    let answers = liar.listen();
    let mut frames = to_the_machine(from, bridge, &machine, &campus.listener);
    frames.extend(questions_by_ipv6(liar.hardware, bridge, port));
    let mut syn = Vec::new();
    let ip = PacketBuilder::ethernet2(from.0, bridge).ipv4(from.1.octets(), MACHINE.octets(), 64);
    ip.tcp(4242, port, 1, 1000).syn().write(&mut syn, &[]).unwrap();
    frames.push(syn);
    liar.send(&frames);
    liar.send(&[liar.end()]);
    witness.send(&[witness.end()]);
    assert!(heard.all().contains("to the machine"), "another host receives broadcasts");
    let answers = answers.all();
    let machine_says = bridge.map(|byte| format!("{byte:02x}")).join(":");
    assert!(!answers.contains(&machine_says), "the machine answers: {answers}");

    let known = |socket: &UdpSocket| {
        let port = socket.local_addr().unwrap().port();
        let sender = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let to = if port == machine.local_addr().unwrap().port() { MACHINE } else { NEIGHBOUR };
        sender.send_to(b"known", (to, port)).unwrap();
    };
    let reached = || {
        known(&machine);
        known(&campus.listener);
        let machine = hears(&machine, "to the machine", "known");
        (machine, hears(&campus.listener, "to the campus", "known"))
    };
    assert_eq!(reached(), (false, false), "the machine accepts or routes it");
    let open = OpenNetwork::with_image_of(&lab);
    open.send(&to_the_machine(open.from(), bridge_of(&open.0), &machine, &campus.listener));
    assert_eq!(reached(), (true, true), "the attack works elsewhere");
}

/// An ordinary network of the engine with a container on it; the network's name, and the container's.
struct OpenNetwork(String);

impl OpenNetwork {
    fn with_image_of(lab: &Lab) -> Self {
        let network = Self(format!("{}-open", unique()));
        let name = network.0.as_str();
        let host = format!("netlab-{}.client1", lab.name);
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &host]);
        docker(&["network", "create", name]);
        docker(&["run", "-d", "--name", name, "--network", name, "--entrypoint", "sleep", &image, "300"]);
        let program = lab.ground.home().join("raw");
        docker(&["cp", &format!("{host}:{PROGRAM}"), program.to_str().unwrap()]);
        docker(&["cp", program.to_str().unwrap(), &format!("{name}:{PROGRAM}")]);
        network
    }

    fn from(&self) -> ([u8; 6], Ipv4Addr) {
        let of = |what: &str| {
            let format = format!("{{{{range .NetworkSettings.Networks}}}}{{{{.{what}}}}}{{{{end}}}}");
            docker(&["inspect", "--format", &format, &self.0])
        };
        (hardware(&of("MacAddress")), of("IPAddress").parse().unwrap())
    }

    fn send(&self, frames: &[Vec<u8>]) {
        let frames: Vec<String> = frames.iter().map(|frame| hex(frame)).collect();
        let mut arguments = vec!["exec", &self.0, PROGRAM, "send"];
        arguments.extend(frames.iter().map(String::as_str));
        docker(&arguments);
    }
}

impl Drop for OpenNetwork {
    fn drop(&mut self) {
        for remove in [["rm", "-f"].as_slice(), &["network", "rm"]] {
            let _ = Command::new("docker").args(remove).arg(&self.0).output();
        }
    }
}

/// Executing a setuid program on a host gains nothing.
fn nothing_gains_a_privilege(ground: &Ground) {
    let lab = ground.up();
    let line = "cp /usr/bin/id /tmp/id && chmod 4755 /tmp/id && \
                python3 -c 'import os; os.setuid(1000); os.execv(\"/tmp/id\", [\"id\"])'";
    let said = lab.sh("client1", line);
    assert!(said.stdout.contains("uid=1000") && !said.stdout.contains("euid=0"), "{said:?}");
    for process in ["self", "1"] {
        let said = lab.sh("client1", &format!("grep NoNewPrivs /proc/{process}/status"));
        assert!(said.stdout.trim().ends_with('1'), "{process}: {said:?}");
    }
}
