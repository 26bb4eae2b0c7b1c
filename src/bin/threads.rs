//! `threads [--turns | --mutex | --no-mutex]`: what threads share, and what can go wrong.
//!
//! First, two threads and the parent print their turns: the order changes from run to run, because the
//! kernel decides which runs next. Then two threads add to one counter, without a mutex and with one.

use std::{
    process::exit,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

/// How many times each thread adds one.
const ADDITIONS: u32 = 1_000_000;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let ways: &[bool] = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => &[false, true],
        ["--turns"] => &[],
        ["--no-mutex"] => &[false],
        ["--mutex"] => &[true],
        _ => {
            eprintln!("usage: threads [--turns | --mutex | --no-mutex]");
            exit(1);
        }
    };
    take_turns();
    for &with_mutex in ways {
        let counter = count(with_mutex);
        let lost = 2 * ADDITIONS - counter;
        let way = if with_mutex { "with a mutex" } else { "without a mutex" };
        println!("{way}: 2 threads added {ADDITIONS} each, the counter is {counter}, {lost} lost");
    }
}

/// Runs two threads beside the parent; each of the three prints when its turn comes.
fn take_turns() {
    // All three begin together; otherwise the first would finish before the next is created.
    let begin = Barrier::new(3);
    let run = |who: &str| {
        begin.wait();
        for turn in 1..=3 {
            println!("{who}: turn {turn}");
            thread::yield_now();
        }
    };
    // The end of the scope joins both threads, like pthread_join.
    thread::scope(|scope| {
        scope.spawn(|| run("thread A"));
        scope.spawn(|| run("thread B"));
        run("parent");
    });
}

/// Lets two threads add to one counter, and returns its final value.
///
/// In C, `counter++` in two threads is a data race: the processor reads, adds and writes, and what the
/// other thread writes in between is lost. (In fact the behaviour is undefined: anything may happen.) In
/// Rust, a `u32` that two threads write to does not compile. So the counter is an atomic, whose individual
/// reads and writes are safe, and the race is spelled out: a read, and later a write.
fn count(with_mutex: bool) -> u32 {
    let counter = AtomicU32::new(0);
    let mutex = Mutex::new(());
    let both_have_read = Barrier::new(2);
    let add = || {
        for n in 0..ADDITIONS {
            // Locked until the end of this iteration: pthread_mutex_lock and pthread_mutex_unlock.
            let _held = with_mutex.then(|| mutex.lock());
            let value = counter.load(Relaxed);
            // The other thread may run right here. The barrier makes sure that it does the first time. With
            // the mutex, the other thread could not have read yet, and both would wait forever.
            if n == 0 && !with_mutex {
                both_have_read.wait();
            }
            // Later, the kernel decides. It is rare if the threads share one processor, so we ask for it.
            if n % 1000 == 0 {
                thread::yield_now();
            }
            counter.store(value + 1, Relaxed);
        }
    };
    thread::scope(|scope| {
        scope.spawn(add);
        scope.spawn(add);
    });
    counter.into_inner()
}
