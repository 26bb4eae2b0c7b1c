//! The boundaries of a host: what its root can reach, and what a program under judgement can do.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::ground::{Ground, Lab, Said};

const NEWBORN: &str = include_str!("newborn.c");
const CALLS: &str = include_str!("calls.c");
const TRACE: &str = include_str!("trace.c");

/// How many programs are started while the host's root watches.
const STARTS: usize = 200;

/// What must not be found in a new process.
const LEAKS: [&str; 3] = ["SECRET", "WRITABLE", "DESCRIPTORS"];

/// The attacks of this file.
pub fn add(add: &mut impl FnMut(&str, fn(&Ground))) {
    add("nothing_of_netlab_is_born_on_a_host", nothing_of_netlab_is_born_on_a_host);
    add("a_killed_keeper_leaves_no_way_to_netlabs_files", a_killed_keeper_leaves_no_way_to_netlabs_files);
    add("a_host_that_stops_newborns_delays_no_other", a_host_that_stops_newborns_delays_no_other);
    add("roots_calls_to_the_machine_are_refused", roots_calls_to_the_machine_are_refused);
    add("the_machines_folders_are_not_a_hosts", the_machines_folders_are_not_a_hosts);
    add("a_judged_program_has_no_privilege", a_judged_program_has_no_privilege);
    add("no_setuid_program_is_left_in_a_workspace", no_setuid_program_is_left_in_a_workspace);
    add("files_in_a_workspace_belong_to_its_owner", files_in_a_workspace_belong_to_its_owner);
    add("roots_rights_are_few_where_strangers_are_graded", roots_rights_are_few_where_strangers_are_graded);
}

/// From its birth, a program that netlab starts is exposed to the host's root: it must be the program itself,
/// or lab-init from the host's own folder, with nothing from the user who typed `netlab`.
fn nothing_of_netlab_is_born_on_a_host(ground: &Ground) {
    let lab = ground.up();
    lab.compile("server", NEWBORN, "/tmp/newborn");
    let mut watcher = ground.netlab(&["exec", "--lab", &lab.name, "server", "--", "/tmp/newborn", "60"]);
    let mut watcher = watcher.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("watching"));
    for _ in 0..STARTS {
        let mut start = ground.netlab(&["exec", "--lab", &lab.name, "server", "--", "true"]);
        let said: Said = start.env("TOKEN", "INSTRUCTORS-TOKEN").output().unwrap().into();
        assert!(said.code == 0 || said.stderr.contains("kept from starting"), "{said:?}");
    }
    lab.exec("server", &["pkill", "newborn"]);
    let seen: Vec<String> = lines.collect();
    watcher.wait().unwrap();
    assert!(seen.len() > STARTS / 10, "it looked at {} of {STARTS}", seen.len());
    for line in seen {
        let runs = line.split(" runs ").nth(1).unwrap();
        // `?` stands for a process that may not be inspected or has ended.
        let is_program = ["/opt/netlab/bin/", "/usr/bin/"].iter().any(|place| runs.starts_with(place));
        // An engine's own first step protects what it holds itself.
        let is_engines = ground.runtime == "docker" && !is_program;
        assert!(is_program || is_engines || runs.starts_with('?'), "{line}");
        let leaks = LEAKS.iter().filter(|leak| !is_engines || **leak != "DESCRIPTORS");
        for leak in leaks {
            assert!(!line.contains(leak), "{line}");
        }
    }
}

/// When the keeper is killed, no process of a host gains access to netlab's own files.
fn a_killed_keeper_leaves_no_way_to_netlabs_files(ground: &Ground) {
    if ground.runtime == "docker" {
        return;
    }
    let before = programs(ground);
    for _ in 0..3 {
        let lab = ground.up();
        lab.compile("server", include_str!("overwrite.c"), "/tmp/overwrite");
        let detached =
            ground.run(&["exec", "--lab", &lab.name, "--detach", "server", "--", "/tmp/overwrite"]);
        assert_eq!(detached.code, 0, "{detached:?}");
        for _ in 0..10 {
            lab.exec("server", &["true"]);
        }
        kill(keeper(&lab), Signal::SIGKILL).unwrap();
        drop(lab);
        assert!(programs(ground) == before, "netlab's own files were changed");
    }
}

/// A host that lets no program start must not delay anybody else.
fn a_host_that_stops_newborns_delays_no_other(ground: &Ground) {
    let lab = ground.up();
    lab.compile("client1", include_str!("stopper.c"), "/tmp/stopper");
    let on_client1 = |argv: &[&str]| {
        let mut command = ground.netlab(&[&["exec", "--lab", &lab.name, "client1", "--"], argv].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut stopper = on_client1(&["/tmp/stopper"]);
    let mut line = String::new();
    BufReader::new(stopper.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "watching\n");
    let mut victim = on_client1(&["true"]);
    for _ in 0..5 {
        let started = Instant::now();
        let said = lab.sh("server", "echo free");
        assert_eq!(said.stdout, "free\n", "{said:?}");
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
    for child in [&mut stopper, &mut victim] {
        let _ = child.kill();
        child.wait().unwrap();
    }
}

/// Returns the contents of netlab's programs.
fn programs(ground: &Ground) -> Vec<Vec<u8>> {
    let folder = ground.program();
    let mut all: Vec<_> =
        fs::read_dir(folder.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Finds the lab's keeper by its arguments.
fn keeper(lab: &Lab<'_>) -> Pid {
    let named = format!("\0keeper\0{}\0", lab.name);
    let numbers = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
    let mut keepers = numbers.filter_map(|number| number.parse::<i32>().ok()).filter(|number| {
        fs::read(format!("/proc/{number}/cmdline")).is_ok_and(|argv| argv.ends_with(named.as_bytes()))
    });
    Pid::from_raw(keepers.next().expect("a keeper"))
}

/// Root of a host that people explore gets no access to the machine through the kernel.
fn roots_calls_to_the_machine_are_refused(ground: &Ground) {
    let lab = ground.up();
    lab.compile("server", CALLS, "/tmp/calls");
    let said = lab.exec("server", &["/tmp/calls"]);
    assert!(said.stdout.lines().count() > 20, "{said:?}");
    for line in said.stdout.lines() {
        assert!(!line.ends_with(": had"), "{line}\n{}", said.stdout);
    }
}

/// Files that appear in the machine's folders after the lab was built are out of reach, too.
fn the_machines_folders_are_not_a_hosts(ground: &Ground) {
    let lab = ground.up();
    if nix::unistd::geteuid().is_root() && ground.runtime == "namespaces" {
        let folder = tempfile::Builder::new().prefix("netlab-attack-").tempdir_in("/etc").unwrap();
        fs::write(folder.path().join("shadow"), "root:hash").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let said = lab.exec("server", &["ls", &folder.path().display().to_string()]);
        assert_ne!(said.code, 0, "{said:?}");
    }
    let said = lab.sh("server", "find / -xdev -name shadow; ls -A /opt /root /home; cat /etc/shadow");
    let names: Vec<&str> = said.stdout.split_whitespace().collect();
    let known = ["/etc/shadow", "/opt:", "/root:", "/home:", "netlab", "student", ".bashrc", ".profile"];
    // An image has its own, empty shadow file.
    let is_foreign =
        |name: &&&str| !(known.contains(name) || ground.runtime == "docker" && name.contains(':'));
    assert_eq!(names.iter().filter(is_foreign).collect::<Vec<_>>(), Vec::<&&str>::new(), "{said:?}");
    if ground.runtime == "namespaces" {
        let found = lab.sh("server", "find /etc -type f ! -perm -o=r -exec cat {} + 2>/dev/null");
        assert_eq!(found.stdout, "");
    }
}

/// Returns what a program under judgement prints while it is compiled.
fn judged<'g>(ground: &'g Ground, files: &[(&str, &str)], attack: &str) -> (String, Lab<'g>, String) {
    let workspace = super::ground::unique();
    for (name, text) in files {
        ground.write(&format!("{workspace}/{name}"), text);
    }
    let manifest = format!("build: |\n  cd /lab; {attack}\n  false\nserver: /lab/x {{port}}\n");
    ground.write(&format!("{workspace}/netlab.yaml"), manifest);
    let folder = ground.home().join(&workspace);
    let name = super::ground::unique();
    let in_folder = |arguments: &[&str]| -> Said {
        ground.netlab(arguments).current_dir(&folder).output().unwrap().into()
    };
    let up = in_folder(&["up", "--lab", &name]);
    assert_eq!(up.code, 0, "{up:?}");
    let lab = Lab { ground, name };
    let said = in_folder(&["check", "--lab", &lab.name, "2"]);
    assert_eq!(said.code, 3, "what does not compile is not judged: {said:?}");
    (format!("{}{}", said.stdout, said.stderr), lab, workspace)
}

/// A program under judgement has no capability, cannot gain one, and cannot access another user's processes.
fn a_judged_program_has_no_privilege(ground: &Ground) {
    let attack = "gcc -w -o trace trace.c && ./trace; grep -E 'Cap|NoNewPrivs' /proc/self/status; id -u";
    let (said, _lab, _) = judged(ground, &[("trace.c", TRACE)], attack);
    for name in ["CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"] {
        assert!(said.contains(&format!("{name}:    0000000000000000")), "{said}");
    }
    assert!(said.contains("NoNewPrivs:    1"), "{said}");
    for way in ["attach", "seize", "mem", "environ", "exe", "root", "fd", "vm", "getfd"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{way}: "))), "{way}: {said}");
        assert!(!said.contains(&format!("{way}: had")), "{said}");
    }
}

/// A setuid program has no effect on a host, and must not be left on the machine.
fn no_setuid_program_is_left_in_a_workspace(ground: &Ground) {
    let attack = "cp /bin/dash a; chmod 4755 a; cp /bin/dash b; chmod 2755 b; install -m 4755 /bin/dash c; \
                  python3 -c 'import os; os.open(\"d\", os.O_CREAT | os.O_WRONLY, 0o4755)'; \
                  python3 -c 'import os; os.mknod(\"e\", 0o104755)'; cp -p /bin/su f; ls -l";
    let (said, _lab, workspace) = judged(ground, &[], attack);
    assert!(said.contains("Operation not permitted"), "{said}");
    for entry in fs::read_dir(ground.home().join(workspace)).unwrap().flatten() {
        let mode = entry.metadata().unwrap().mode();
        assert_eq!(mode & 0o6000, 0, "{} {mode:o}: {said}", entry.path().display());
    }
}

/// Files created in a workspace belong to the workspace's owner, whoever created them.
fn files_in_a_workspace_belong_to_its_owner(ground: &Ground) {
    let (said, lab, workspace) = judged(ground, &[], "touch made-when-judged");
    if ground.runtime == "namespaces" {
        let made = lab.sh("server", "touch /lab/made-by-hand");
        assert_eq!(made.code, 0, "{made:?}");
    }
    let folder = ground.home().join(workspace);
    let owner = fs::metadata(&folder).unwrap().uid();
    for name in ["made-when-judged", "made-by-hand"] {
        match fs::metadata(folder.join(name)) {
            Ok(made) => assert_eq!(made.uid(), owner, "{name}: {said}"),
            Err(e) => assert!(name == "made-by-hand" && ground.runtime == "docker", "{name}: {e}: {said}"),
        }
    }
}

/// Root of a host with untrusted programs has no right to packets, links, other programs' memory or another
/// root; nor has anything that a submission starts.
fn roots_rights_are_few_where_strangers_are_graded(ground: &Ground) {
    let class = super::ground::unique();
    let manifest = "build: |\n  cd /lab; touch made && echo made it; grep CapBnd /proc/1/status\n  \
                    echo uid-$(id -u)-; false\nserver: /lab/x {port}\n";
    ground.write(&format!("{class}/class/eve/netlab.yaml"), manifest);
    ground.write(&format!("{class}/class/eve/x.c"), "int main(void) { return 0; }\n");
    let course = "title: T\nsections: {\"2\": {}}\nlimits: {seconds: 30, disk: 16MiB, pids: 50}\n";
    ground.write(&format!("{class}/course.yaml"), course);
    let folder = ground.home().join(class);
    let graded: Said = ground
        .netlab(&["grade", "class", "--course", "course.yaml", "--out", "out"])
        .current_dir(&folder)
        .output()
        .unwrap()
        .into();
    let record = fs::read_to_string(folder.join("out/eve/grade.json"));
    let Ok(record) = record else {
        // Without its own control groups, an ordinary user cannot limit untrusted programs, and grades none.
        assert!(!ground.is_root() && graded.stderr.contains("nothing would stop"), "{graded:?}");
        return;
    };
    // Its copy of the workspace belongs to it, and it is not root anywhere.
    assert!(record.contains("uid-1000-") && record.contains("made it"), "{record}");
    let bound = record.split("CapBnd:").nth(1).expect(&record);
    let digits: String = bound
        .trim_start_matches(|c: char| !c.is_ascii_hexdigit())
        .chars()
        .take_while(char::is_ascii_hexdigit)
        .collect();
    let bound = u64::from_str_radix(&digits, 16).expect(&record);
    for (name, number) in [("NET_ADMIN", 12), ("NET_RAW", 13), ("SYS_CHROOT", 18), ("SYS_PTRACE", 19)] {
        assert_eq!(bound & (1 << number), 0, "{name}: {record}");
    }
}
