//! Whichever process is killed, and whenever: no command hangs, panics or blames somebody's program, what is
//! down stays down, and the next `up` works.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use libtest_mimic::Failed;
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::{
    bystander::Bystander,
    census::Process,
    docker,
    ground::Ground,
    run::{Ended, finish_after},
    seed::{Dice, Rounds},
    trace::{self, BEGIN, Then, Whose},
    verbs::Verb,
    whole,
    world::World,
};

/// The target of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Command,
    /// The command and its descendants: what a terminal sends ^C to.
    Group,
    Keeper,
    Observer,
    Recorder,
    /// PID 1 of a host.
    Init,
}

use Victim::{Command, Group, Init, Keeper, Observer, Recorder};

/// Half of the cases are commands and what people do to them.
const ON_NAMESPACES: [Victim; 8] = [Command, Command, Command, Group, Keeper, Observer, Recorder, Init];
const ON_DOCKER: [Victim; 6] = [Command, Command, Command, Group, Observer, Init];
const SIGNALS: [Signal; 4] = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT];

/// Commands that take no longer than this have their steps counted in the short form, too.
const SHORT: Duration = Duration::from_millis(500);

/// When the signal is sent.
#[derive(Clone, Copy, Debug)]
enum When {
    /// After that time.
    Moment(Duration),
    /// Before the n-th step of the command, or of a process that it starts.
    Step(Whose, usize),
}

pub fn whoever_is_killed_nothing_is_left(ground: &Ground, rounds: Rounds, name: &str) -> Result<(), Failed> {
    let bystander = Bystander::new(ground);
    let has = (rounds.long, trace::missing().is_none());
    let result = rounds.each(name, |dice| round(ground, has, dice));
    bystander.must_be_unharmed();
    result
}

fn round(ground: &Ground, has: (bool, bool), dice: &mut Dice) {
    let verb = *dice.turn(&Verb::all(ground));
    let (victim, signal, when) = draw(ground, has, verb, dice);
    let world = World::new(ground);
    verb.prepare(&world);
    let case = format!("{} hit by {signal} to {victim:?} at {when:?}", verb.name);
    let (ended, hit) = disturb(&world, verb, victim, signal, when);
    let told = |what: &str| panic!("{case}, {hit:?}: {what}: {ended:?}");
    if let Err(what) = judge(verb, victim, signal, hit, &ended) {
        told(&what);
    }
    if ended.code() == Some(130) {
        let _told = CaseOnPanic(&case);
        clears_up(&world, verb);
    }
    let may_leave_temporary = signal == Signal::SIGKILL && matches!(victim, Command | Group);
    if let Err(what) = whole::files(&world, may_leave_temporary) {
        told(&what);
    }
    after(&world, verb, dice.coin(), &case);
}

/// Verifies what must be possible whatever has happened.
fn after(world: &World, verb: &Verb, once_more: bool, case: &str) {
    let _told = CaseOnPanic(case);
    world.look();
    if verb.name == "grade" {
        // What grading left is cleared by the next run into the same folder.
        let again = world.runs(verb.arguments);
        assert!(again.stdout.contains("\"points\":10"), "{again:?}");
    }
    if once_more {
        if verb.name.starts_with("link") {
            // A lab that was up stays as it is, except for this.
            world.runs(&["up"]);
            world.runs(&["link", "client1", "--up"]);
        }
        world.works();
    }
    world.is_cleared();
}

/// Verifies that a command that was asked to end has cleaned up.
fn clears_up(world: &World, verb: &Verb) {
    match verb.name {
        "up" | "up with limits" => world.has_nothing(),
        "exercise 2" | "exec" => world.has_no_programs(),
        _ => {}
    }
}

/// Prints the failing case.
struct CaseOnPanic<'c>(&'c str);

impl Drop for CaseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("after {}:", self.0);
        }
    }
}

fn draw(
    ground: &Ground,
    (long, traced): (bool, bool),
    verb: &'static Verb,
    dice: &mut Dice,
) -> (Victim, Signal, When) {
    let on_docker = ground.runtime == "docker";
    // Counting steps takes an additional round.
    let has_time = (long || verb.takes_on(ground) < SHORT) && traced;
    let child = match verb.name {
        "up" | "up with limits" if !on_docker => Some(("keeper", Keeper)),
        "capture start" => Some(("--announce", Recorder)),
        _ => None,
    };
    if let Some((word, victim)) = child
        && has_time
        && dice.coin()
    {
        let whose = Whose::Child(word);
        return (victim, Signal::SIGKILL, When::Step(whose, dice.nth(steps(ground, verb, whose))));
    }
    let victim = *dice.any(if on_docker { &ON_DOCKER[..] } else { &ON_NAMESPACES });
    let signal = if matches!(victim, Command | Group) { *dice.any(&SIGNALS) } else { Signal::SIGKILL };
    let when = if !has_time || dice.coin() {
        When::Moment(dice.moment(verb.takes_on(ground)))
    } else {
        When::Step(Whose::Command, dice.nth(steps(ground, verb, Whose::Command)))
    };
    (victim, signal, when)
}

/// Returns how many steps an undisturbed command makes.
fn steps(ground: &Ground, verb: &'static Verb, whose: Whose) -> usize {
    type Known = HashMap<(&'static str, &'static str, bool), usize>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let key = (ground.name, verb.name, whose == Whose::Command);
    if let Some(count) = KNOWN.lock().unwrap().get(&key) {
        return *count;
    }
    let world = World::new(ground);
    verb.prepare(&world);
    let mut count = 0;
    let ended = trace::run(verb.command(&world, Some(&BEGIN)), whose, |_| {
        count += 1;
        Then::Go
    });
    assert_eq!(ended.code(), Some(0), "{} undisturbed: {ended:?}", verb.name);
    world.is_cleared();
    KNOWN.lock().unwrap().insert(key, count);
    count
}

fn disturb(world: &World, verb: &Verb, victim: Victim, signal: Signal, when: When) -> (Ended, Hit) {
    let hit = Cell::new(Hit::Missed);
    let ended = match when {
        When::Moment(after) => {
            let mut command = verb.command(world, None);
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            finish_after(&mut command, |_| after, |pid| hit.set(strike(world, victim, signal, pid)))
        }
        When::Step(whose, nth) => {
            let mut command = verb.command(world, Some(&BEGIN));
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let (mut n, mut was_hit) = (0, Hit::Missed);
            let ended = trace::run(command, whose, |step| {
                n += 1;
                if n < nth {
                    return Then::Go;
                }
                was_hit = match whose {
                    Whose::Command => strike(world, victim, signal, step.pid),
                    Whose::Child(_) => send(step.pid, signal),
                };
                Then::Leave
            });
            hit.set(was_hit);
            ended
        }
    };
    (ended, hit.get())
}

/// Whether a process received the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hit {
    Missed,
    Killed,
    /// A process that has a handler for it.
    Asked,
}

/// Sends the signal to its target.
fn strike(world: &World, victim: Victim, signal: Signal, command: Pid) -> Hit {
    let all = world.look();
    let one = |is: fn(&Process) -> bool| {
        all.iter().find(|process| is(process)).map_or(Hit::Missed, |it| send(Pid::from_raw(it.pid), signal))
    };
    let container = |is: fn(&str) -> bool| {
        let names = docker::names("containers", &world.lab, "Name");
        names.iter().find(|name| is(name)).map_or(Hit::Missed, |name| {
            docker::ask("POST", &format!("/containers{name}/kill"));
            Hit::Killed
        })
    };
    match (victim, world.ground.runtime) {
        (Command, _) => send(command, signal),
        (Group, _) => {
            let asked = catches(command, signal);
            killpg(command, signal).map_or(Hit::Missed, |()| asked)
        }
        (Recorder, _) => one(Process::is_recorder),
        (Observer, "docker") => container(|name| name.contains("_observer")),
        (Init, "docker") => container(|name| !name.contains("_observer")),
        (Keeper, _) => one(Process::is_keeper),
        (Observer, _) => one(Process::is_observer),
        (Init, _) => one(Process::is_init),
    }
}

fn send(to: Pid, signal: Signal) -> Hit {
    let hit = catches(to, signal);
    kill(to, signal).map_or(Hit::Missed, |()| hit)
}

/// Returns whether a process has a handler for a signal.
fn catches(process: Pid, signal: Signal) -> Hit {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    if caught >> (signal as i32 - 1) & 1 == 1 { Hit::Asked } else { Hit::Killed }
}

/// Checks whether a command may end like this after that signal.
fn judge(verb: &Verb, victim: Victim, signal: Signal, hit: Hit, ended: &Ended) -> Result<(), String> {
    if ended.stderr.contains("panicked") {
        return Err("it panicked".into());
    }
    let by_people = matches!(victim, Command | Group);
    let fits = match ended.code() {
        Some(0) => true,
        _ if hit == Hit::Missed => false,
        None => by_people && hit == Hit::Killed && ended.signal() == Some(signal as i32),
        // The status of its program, which may have lost its server.
        Some(code) if verb.name == "exec" && code != 101 => !by_people || code == 128 + signal as i32,
        Some(130) => by_people && signal != Signal::SIGKILL,
        Some(3) => !by_people && says_why(verb, ended),
        Some(_) => false,
    };
    if !fits {
        return Err("it must not end like this".into());
    }
    if ended.code() == Some(0) && verb.judges() && !judges_well(verb, ended) {
        return Err("a wrong verdict".into());
    }
    Ok(())
}

fn says_why(verb: &Verb, ended: &Ended) -> bool {
    ended.stderr.contains("error: ") || verb.judges() && ended.stdout.contains("\"verdict\":\"error\"")
}

/// All programs judged here are correct.
fn judges_well(verb: &Verb, ended: &Ended) -> bool {
    let said = ended.stdout.replace(": ", ":");
    if verb.name == "grade" { said.contains("\"points\":10") } else { said.contains("\"verdict\":\"pass\"") }
}
