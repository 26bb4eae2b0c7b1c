//! Many labs at once, and many one after another: each works, and nothing grows.

use std::{fs, panic::resume_unwind};

use libtest_mimic::Failed;

use crate::{
    census::{Process, eventually, keys},
    ground::Ground,
    seed::Rounds,
    world::World,
};

const EXERCISE: [&str; 3] = ["exercise", "2", "--json"];

/// By different processes, and for root by two users; both use the same names.
pub fn labs_side_by_side_do_not_meet(ground: &Ground, rounds: Rounds, name: &str) -> Result<(), Failed> {
    let labs = match (ground.runtime, rounds.long) {
        ("docker", false) => 4,
        // An engine builds them one after another.
        ("docker", true) => 12,
        (_, false) => 6,
        (_, true) => 30,
    };
    let both = (ground.runtime != "docker" && ground.is_root()).then(Ground::ordinary_user);
    let other = both.as_ref().filter(|other| other.is_there());
    rounds.each(name, |_| {
        let worlds: Vec<_> = (0..labs)
            .map(|n| match other {
                Some(other) if n % 2 == 1 => World::sharing(other, &named(n - 1)),
                _ => World::sharing(ground, &named(n)),
            })
            .collect();
        std::thread::scope(|scope| {
            let all: Vec<_> = worlds.iter().map(|world| scope.spawn(|| live(world))).collect();
            // The first one's failure is reported.
            all.into_iter().for_each(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        });
        worlds.iter().for_each(World::is_cleared);
    })
}

/// Runs a lab from beginning to end.
fn live(world: &World) {
    world.works();
    let said = world.runs(&EXERCISE);
    assert!(said.stdout.contains("\"verdict\":\"pass\""), "{said:?}");
    world.look();
    world.runs(&["down"]);
}

fn named(number: usize) -> String {
    format!("crowd{}-{number}", std::process::id())
}

/// Up, exec, down, again and again.
pub fn labs_one_after_another_leave_nothing(
    ground: &Ground,
    rounds: Rounds,
    name: &str,
) -> Result<(), Failed> {
    let cycles = if rounds.long { 500 } else { 20 };
    rounds.each(name, |_| {
        let world = World::new(ground);
        let before = ground.user().map(keys);
        for cycle in 0..cycles {
            let up: &[&str] = if cycle % 2 == 0 { &["up"] } else { &["up", "-f", "limits.yaml"] };
            world.runs(up);
            world.runs(&["exec", "client1", "--", "true"]);
            world.is_cleared();
        }
        // Other labs of this user may be up; the kernel collects keys some time later.
        if let (Some(user), Some(before)) = (ground.user(), before) {
            let most = before + 20;
            eventually(|| {
                Some(keys(user))
                    .filter(|now| *now > most)
                    .map(|now| format!("{now} keys"))
                    .into_iter()
                    .collect()
            });
        }
    })
}

/// A keeper holds as much after many commands as after a few.
pub fn a_keeper_does_not_grow(ground: &Ground, rounds: Rounds, name: &str) -> Result<(), Failed> {
    let times = if rounds.long { 500 } else { 30 };
    rounds.each(name, |_| {
        let world = World::new(ground);
        world.runs(&["up"]);
        let keeper = world.look().into_iter().find(Process::is_keeper).unwrap().pid;
        let commands = || {
            world.runs(&["exec", "client1", "--", "true"]);
            world.runs(&["exec", "--detach", "client1", "--", "true"]);
            world.runs(&["kill", "server", "--signal", "CHLD", "--name", "tcpechod"]);
            world.runs(&["host", "client2", "--reboot"]);
        };
        (0..5).for_each(|_| commands());
        let (descriptors, memory) = holds(keeper);
        (0..times).for_each(|_| commands());
        eventually(|| {
            let (now, kilobytes) = holds(keeper);
            let grown = now > descriptors || kilobytes > memory + 1024;
            let told = format!("{now} descriptors ({descriptors} before), {kilobytes} kB ({memory} before)");
            grown.then_some(told).into_iter().collect()
        });
        world.is_cleared();
    })
}

/// Returns a process's open descriptors and its memory in kilobytes.
fn holds(pid: i32) -> (usize, u64) {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let memory =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    (descriptors, memory.unwrap())
}
