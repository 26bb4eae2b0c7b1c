//! The requests that create a lab's parts on an engine.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig, Ipam,
    IpamConfig, Mount, MountBindOptions, MountType, NetworkConnectRequest, NetworkCreateRequest,
    NetworkingConfig,
};

use super::{copies, names};
use crate::{
    programs::{FOLDER, INIT},
    runtime::wire::sender,
    topology::{HostPlan, LinkPlan, Plan, Role},
};

/// The file that a host's PID 1 creates once the host's network is ready.
pub const READY: &str = "/run/network-ready";

/// At least this much of the output of a host's programs is kept; the oldest is dropped first.
const LOG_SIZE: &str = "16m";

/// No executed program gains a privilege, not even a setuid one.
const NO_NEW_PRIVILEGES: &str = "no-new-privileges";
/// Capabilities of root on every host: full control of its own files and processes, and any port.
const ROOT_MAY: [&str; 9] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETPCAP", "SETUID", "NET_BIND_SERVICE"];
/// Additional capabilities in a lab that people explore: links, routes and tcpdump (which switches to its own
/// user); strace; chroot; login records in the audit log.
const LOOK_AROUND: [&str; 5] = ["NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_CHROOT", "AUDIT_WRITE"];
/// The resolver of hosts, for names that are not in their `/etc/hosts`: an address for documentation (RFC
/// 5737), which nothing answers. Otherwise the engine would ask the machine's own resolvers, sometimes from
/// the machine's own network.
const NOBODY: &str = "192.0.2.1";
/// Since nothing answers, an unknown name should fail soon: one attempt of one second (resolv.conf(5)).
const GIVE_UP: [&str; 2] = ["timeout:1", "attempts:1"];

/// Returns the request for the network of the plan's `n`th segment.
pub fn network(plan: &Plan, n: usize) -> NetworkCreateRequest {
    let segment = &plan.segments[n];
    let gateway = segment.subnet.hosts().next().map(|first| first.to_string());
    NetworkCreateRequest {
        name: names::segment(&plan.lab, &segment.name),
        driver: Some("bridge".into()),
        ipam: Some(Ipam {
            config: Some(vec![IpamConfig {
                subnet: Some(segment.subnet.to_string()),
                gateway,
                ..IpamConfig::default()
            }]),
            ..Ipam::default()
        }),
        // The wire does not lead anywhere else, not even to the machine: the bridge gets no IPv4 address
        // there, and what this leaves open is closed from inside the machine (see `wire`). An `internal`
        // network would do the same, but the engine's rules for it drop packets that a router host forwards.
        options: Some(HashMap::from([
            ("com.docker.network.bridge.enable_ip_masquerade".into(), "false".into()),
            ("com.docker.network.bridge.inhibit_ipv4".into(), "true".into()),
        ])),
        labels: Some(names::segment_labels(plan, n)),
        ..NetworkCreateRequest::default()
    }
}

/// Returns the request for a host's container, on its first segment.
pub fn host(plan: &Plan, host: &HostPlan, image: &str) -> ContainerCreateBody {
    let first = &host.links[0];
    let endpoint = (names::segment(&plan.lab, &first.segment), endpoint(first));
    ContainerCreateBody {
        image: Some(image.into()),
        hostname: Some(host.name.clone()),
        env: Some(host.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        entrypoint: Some(vec![format!("{FOLDER}/{INIT}")]),
        cmd: Some(init_arguments(plan, host)),
        working_dir: Some("/".into()),
        labels: Some(names::host_labels(&plan.lab, &host.name)),
        host_config: Some(host_config(plan, host, endpoint.0.clone())),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(HashMap::from([endpoint])) }),
        ..ContainerCreateBody::default()
    }
}

/// Returns the request that attaches a host to a further segment.
pub fn attachment(plan: &Plan, host: &HostPlan, link: &LinkPlan) -> NetworkConnectRequest {
    NetworkConnectRequest {
        container: names::host(&plan.lab, &host.name),
        endpoint_config: Some(endpoint(link)),
    }
}

/// Capabilities of the observers' container.
const OBSERVER_MAY: [&str; 7] = [
    // Capture packets.
    "NET_RAW",
    // Read other processes' `/proc` entries, and signal those processes.
    "SYS_PTRACE",
    "KILL",
    // Close the lab's wire, whose interfaces are among the machine's own.
    "NET_ADMIN",
    // Enter a host's namespaces, to read its processes as its kernel lists them and to prepare its network.
    "SYS_ADMIN",
    "SYS_CHROOT",
    // Read anybody's programs and descriptors, without changing them.
    "DAC_READ_SEARCH",
];
/// Memory limit for all observers of a lab together, in bytes; each also limits its own.
const OBSERVER_MEMORY: i64 = 1 << 30;
const OBSERVER_PIDS: i64 = 256;

/// Returns the request for the observers' container: on the machine's network, with its processes visible.
pub fn observer(lab: &str, image: &str) -> ContainerCreateBody {
    let own = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    ContainerCreateBody {
        image: Some(image.into()),
        entrypoint: own(&["sleep", "infinity"]),
        labels: Some(names::labels(lab)),
        host_config: Some(HostConfig {
            network_mode: Some("host".into()),
            pid_mode: Some("host".into()),
            cap_drop: Some(vec!["ALL".into()]),
            cap_add: own(&OBSERVER_MAY),
            security_opt: own(&[NO_NEW_PRIVILEGES]),
            readonly_rootfs: Some(true),
            memory: Some(OBSERVER_MEMORY),
            memory_swap: Some(OBSERVER_MEMORY),
            pids_limit: Some(OBSERVER_PIDS),
            log_config: Some(bounded_log()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Returns the arguments with which `lab-init` prepares a host's network.
pub fn network_arguments(host: &HostPlan) -> Vec<String> {
    let mut arguments = vec!["--links".into(), host.links.len().to_string()];
    for route in &host.routes {
        arguments.extend(["--route".into(), route.to.to_string(), route.via.to_string()]);
    }
    arguments
}

fn init_arguments(plan: &Plan, host: &HostPlan) -> Vec<String> {
    let mut arguments = vec!["--ready".into(), READY.into()];
    arguments.extend(network_arguments(host));
    if plan.untrusted {
        // It has no right to prepare its network; `wire` does that.
        arguments.extend(["--untrusted".into(), "--networked".into()]);
    }
    if let Some(command) = &host.run {
        arguments.extend(["--".into(), command.clone()]);
    }
    arguments
}

fn endpoint(link: &LinkPlan) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(link.address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        // The same whenever the host is started; older engines choose this address anyway.
        mac_address: Some(hardware_address(link)),
        ..EndpointSettings::default()
    }
}

fn hardware_address(link: &LinkPlan) -> String {
    let address = sender::hardware_address(link.address);
    address.map(|byte| format!("{byte:02x}")).join(":")
}

fn host_config(plan: &Plan, host: &HostPlan, network: String) -> HostConfig {
    let forward = i32::from(host.role == Role::Router).to_string();
    let memory = host.limits.memory.and_then(|bytes| i64::try_from(bytes).ok());
    HostConfig {
        network_mode: Some(network),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(host_may(plan)),
        security_opt: Some(vec![NO_NEW_PRIVILEGES.into()]),
        dns: Some(vec![NOBODY.into()]),
        dns_options: Some(GIVE_UP.map(Into::into).into()),
        // A container's own /proc/sys is read-only to what runs in it.
        sysctls: Some(HashMap::from([("net.ipv4.ip_forward".into(), forward)])),
        extra_hosts: Some(plan.addresses().map(|(address, name)| format!("{name}:{address}")).collect()),
        memory,
        // Memory and swap together, so no swap.
        memory_swap: memory,
        nano_cpus: host.limits.millicpus.map(|n| i64::from(n) * 1_000_000),
        pids_limit: host.limits.pids.and_then(|n| i64::try_from(n).ok()),
        mounts: Some(mounts(plan, host)),
        // Writes to the image's own files cannot be limited. Where people explore, they may still change
        // them.
        readonly_rootfs: host.limits.disk.map(|_| plan.untrusted),
        tmpfs: host.limits.disk.map(|bytes| bounded_folders(host, bytes, plan.untrusted)),
        shm_size: host.limits.disk.and_then(|bytes| i64::try_from(bytes).ok()),
        log_config: Some(bounded_log()),
        ..HostConfig::default()
    }
}

/// The capabilities of root on a host.
fn host_may(plan: &Plan) -> Vec<String> {
    let more = if plan.untrusted { &[][..] } else { &LOOK_AROUND };
    ROOT_MAY.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

/// Root of a host can write to PID 1's output, and could otherwise fill the machine's disk.
fn bounded_log() -> HostConfigLogConfig {
    let config = [("max-size", LOG_SIZE), ("max-file", "2")];
    HostConfigLogConfig {
        typ: Some("json-file".into()),
        config: Some(config.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
    }
}

/// The folders of a host with a limited disk, each of that size. If its programs are untrusted, it may write
/// to no others.
fn bounded_folders(host: &HostPlan, bytes: u64, untrusted: bool) -> HashMap<String, String> {
    let options = |mode: &str| format!("rw,exec,nosuid,nodev,size={bytes},mode={mode}");
    let always = [("/tmp", "1777"), ("/var/tmp", "1777")];
    let instead = [("/run", "755"), ("/root", "700"), ("/home", "755")];
    let is_free = |folder: &str| host.mounts.iter().all(|mount| mount.target != Path::new(folder));
    let folders = always.into_iter().chain(instead.into_iter().filter(|_| untrusted));
    let folders = folders.filter(|(folder, _)| is_free(folder));
    folders.map(|(folder, mode)| (folder.to_owned(), options(mode))).collect()
}

fn mounts(plan: &Plan, host: &HostPlan) -> Vec<Mount> {
    let copied = |mount: &crate::topology::Mount| Mount {
        target: Some(mount.target.display().to_string()),
        source: Some(copies::volume(plan, &mount.source)),
        typ: Some(MountType::VOLUME),
        read_only: Some(mount.read_only),
        volume_options: mount.copy.map(|bytes| copies::mount_options(plan, bytes)),
        ..Mount::default()
    };
    let mount = |mount: &crate::topology::Mount| Mount {
        target: Some(mount.target.display().to_string()),
        source: Some(mount.source.display().to_string()),
        typ: Some(MountType::BIND),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions::default()),
        ..Mount::default()
    };
    host.mounts.iter().map(|m| if m.copy.is_some() { copied(m) } else { mount(m) }).collect()
}
