//! Files that somebody else put where a user's labs keep their state: no command uses any of them.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        net::UnixListener,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command},
};

use nix::{
    libc,
    sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket},
};

use crate::ground::{Ground, Said, unique};

/// The attacks of this file.
pub fn add(add: &mut impl FnMut(&str, fn(&Ground)), ground: &Ground) {
    if ground.runtime == "namespaces" {
        add(
            "a_state_folder_of_somebody_else_is_refused_by_every_command",
            a_state_folder_of_somebody_else_is_refused_by_every_command,
        );
        add(
            "a_state_folder_that_others_may_write_to_is_refused_by_every_command",
            a_state_folder_that_others_may_write_to_is_refused_by_every_command,
        );
        add(
            "a_labs_folder_of_somebody_else_is_refused_by_every_command",
            a_labs_folder_of_somebody_else_is_refused_by_every_command,
        );
        add("a_link_to_a_labs_folder_is_refused", a_link_to_a_labs_folder_is_refused);
        add("a_record_of_groups_ends_nothing_but_labs", a_record_of_groups_ends_nothing_but_labs);
        add("a_keeper_of_somebody_else_is_not_spoken_to", a_keeper_of_somebody_else_is_not_spoken_to);
        add("a_lock_that_leads_elsewhere_is_not_followed", a_lock_that_leads_elsewhere_is_not_followed);
        add("the_limit_of_memory_counts_swap", the_limit_of_memory_counts_swap);
    }
}

/// The attacking user: an id that the machine does not use.
const OTHER: u32 = 4343;

/// Every command that concerns a lab, existing or not.
const COMMANDS: [&[&str]; 11] = [
    &["up"],
    &["down"],
    &["status"],
    &["exec", "server", "--", "true"],
    &["shell", "server"],
    &["logs", "server"],
    &["kill", "server"],
    &["link", "server", "--down"],
    &["host", "server", "--stop"],
    &["capture", "start"],
    &["exercise", "2"],
];

/// A program of the user who runs netlab, which an attack would kill.
struct Victim(Child);

impl Victim {
    fn new(ground: &Ground) -> Self {
        let mut command = Command::new("sleep");
        command.arg("600");
        if let Some(user) = ground.user() {
            command.uid(user).gid(user);
        }
        Self(command.spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `netlab` on that lab with another state folder.
fn run(ground: &Ground, state: &Path, lab: &str, command: &[&str]) -> Said {
    ground.netlab(command).env("NETLAB_STATE", state).env("NETLAB_LAB", lab).output().unwrap().into()
}

fn is_refusal(said: &Said) -> bool {
    said.code == 3 && said.stderr.contains("NETLAB_STATE")
}

/// A forged state folder, which could be another lab's than `lab`: with a record of control groups that names
/// a folder of ours containing the victim's pid.
fn forged(ground: &Ground, lab: &str, victim: &Victim) -> (PathBuf, PathBuf) {
    let state = ground.home().join(unique());
    let group = ground.home().join(format!("netlab-{lab}-1"));
    fs::create_dir_all(state.join(lab)).unwrap();
    fs::create_dir(&group).unwrap();
    fs::write(group.join("cgroup.procs"), victim.0.id().to_string()).unwrap();
    fs::write(state.join(lab).join("cgroups"), format!("{}\n", group.display())).unwrap();
    fs::write(state.join(lab).join("lab.json"), "{}").unwrap();
    (state, group)
}

fn give(path: &Path, user: Option<u32>, mode: u32) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        give(&entry.path(), user, mode);
    }
    chown(path, user, user).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn a_state_folder_of_somebody_else_is_refused_by_every_command(ground: &Ground) {
    let lab = unique();
    let mut victim = Victim::new(ground);
    let (state, group) = forged(ground, &lab, &victim);
    give(&state, Some(OTHER), 0o755);
    for command in COMMANDS {
        let said = run(ground, &state, &lab, command);
        assert!(is_refusal(&said), "{command:?}: {said:?}");
    }
    assert!(victim.lives() && group.exists());
}

fn a_state_folder_that_others_may_write_to_is_refused_by_every_command(ground: &Ground) {
    let lab = unique();
    let mut victim = Victim::new(ground);
    let (state, group) = forged(ground, &lab, &victim);
    give(&state, ground.user(), 0o777);
    for command in COMMANDS {
        let said = run(ground, &state, &lab, command);
        assert!(is_refusal(&said), "{command:?}: {said:?}");
    }
    assert!(victim.lives() && group.exists());
}

fn a_labs_folder_of_somebody_else_is_refused_by_every_command(ground: &Ground) {
    let lab = unique();
    let mut victim = Victim::new(ground);
    let (state, group) = forged(ground, &lab, &victim);
    give(&state.join(&lab), Some(OTHER), 0o755);
    chown(&state, ground.user(), ground.user()).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    for command in COMMANDS {
        let said = run(ground, &state, &lab, command);
        assert!(is_refusal(&said), "{command:?}: {said:?}");
    }
    assert!(victim.lives() && group.exists());
}

fn a_link_to_a_labs_folder_is_refused(ground: &Ground) {
    let lab = unique();
    let mut victim = Victim::new(ground);
    let (state, _) = forged(ground, &lab, &victim);
    give(&state, ground.user(), 0o700);
    let links = ground.home().join(unique());
    fs::create_dir(&links).unwrap();
    give(&links, ground.user(), 0o700);
    symlink(state.join(&lab), links.join(&lab)).unwrap();
    let link = ground.home().join(unique());
    symlink(&state, &link).unwrap();
    for command in COMMANDS.iter().filter(|command| command[0] != "up") {
        let said = run(ground, &link, &lab, command);
        assert!(is_refusal(&said), "{command:?}: {said:?}");
    }
    assert!(is_refusal(&run(ground, &link, &lab, &["up"])));
    // Nor is a link in place of a lab's folder a lab.
    run(ground, &links, &lab, &["down"]);
    let said = run(ground, &links, &lab, &["up"]);
    assert!(is_refusal(&said), "{said:?}");
    assert!(victim.lives() && state.join(&lab).join("cgroups").exists());
}

/// Even in the user's own folder, which an older netlab may have adopted from somebody else.
fn a_record_of_groups_ends_nothing_but_labs(ground: &Ground) {
    let lab = unique();
    let mut victim = Victim::new(ground);
    let (state, group) = forged(ground, &lab, &victim);
    give(&state, ground.user(), 0o700);
    for command in ["down", "up"] {
        let said = run(ground, &state, &lab, &[command]);
        assert!(said.code == 3 && said.stderr.contains("is not a control group of a lab"), "{said:?}");
    }
    assert!(victim.lives() && group.exists());
}

/// The listener receives descriptors, and its answers are believed.
fn a_keeper_of_somebody_else_is_not_spoken_to(ground: &Ground) {
    let lab = unique();
    let (state, _) = forged(ground, &lab, &Victim::new(ground));
    fs::remove_file(state.join(&lab).join("cgroups")).unwrap();
    let real = ground.up();
    let plan = ground.home().join("state").join(&real.name).join("lab.json");
    fs::copy(plan, state.join(&lab).join("lab.json")).unwrap();
    let path = state.join(&lab).join("keeper.sock");
    let listener = listener(&path);
    give(&state, ground.user(), 0o700);
    // The socket's file has the right owner; on a user's ground the process behind it, root's, has not.
    let asked: [&[&str]; 2] = [&["exec", "server", "--", "true"], &["down"]];
    if ground.user().is_some() {
        for command in asked {
            let said = run(ground, &state, &lab, command);
            assert!(said.code == 3 && said.stderr.contains("runs as the user with id 0"), "{said:?}");
        }
    }
    // And vice versa.
    chown(&path, Some(OTHER), Some(OTHER)).unwrap();
    for command in asked {
        let said = run(ground, &state, &lab, command);
        assert!(is_refusal(&said), "{said:?}");
    }
    drop(listener);
}

fn listener(path: &Path) -> UnixListener {
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new(path).unwrap()).unwrap();
    listen(&socket, Backlog::new(libc::SOMAXCONN).unwrap()).unwrap();
    UnixListener::from(socket)
}

fn a_lock_that_leads_elsewhere_is_not_followed(ground: &Ground) {
    let lab = unique();
    let (state, _) = forged(ground, &lab, &Victim::new(ground));
    fs::remove_file(state.join(&lab).join("cgroups")).unwrap();
    give(&state, ground.user(), 0o700);
    let elsewhere = ground.home().join(unique());
    symlink(&elsewhere, state.join(&lab).join("lock")).unwrap();
    for command in ["down", "up"] {
        let said = run(ground, &state, &lab, &[command]);
        assert!(is_refusal(&said), "{said:?}");
    }
    assert!(!elsewhere.exists());
}

/// The first line of a lab's record names its groups; the limit includes swap if the kernel counts swap.
fn the_limit_of_memory_counts_swap(ground: &Ground) {
    let topology = ground.write(
        &format!("{}.yaml", unique()),
        "hosts:\n  server: {role: server, limits: {memory: 64MiB}}\n  client1: {role: client}\n",
    );
    let lab = ground.up_with(&["--topology", topology.to_str().unwrap()]);
    let record = ground.home().join("state").join(&lab.name).join("cgroups");
    let record = fs::read_to_string(record).unwrap_or_default();
    let Some(group) = record.lines().find(|line| line.ends_with("/server")) else { return };
    let value = |file: &str| fs::read_to_string(Path::new(group).join(file)).ok();
    let memory = value("memory.limit_in_bytes").or_else(|| value("memory.max")).unwrap();
    assert_eq!(memory.trim(), (64 << 20).to_string());
    if let Some(both) = value("memory.memsw.limit_in_bytes") {
        assert_eq!(both, memory);
    }
    if let Some(swap) = value("memory.swap.max") {
        assert_eq!(swap.trim(), "0");
    }
}
