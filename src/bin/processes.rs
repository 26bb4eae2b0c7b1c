//! `processes`: what happens to a variable at fork(2).
//!
//! The child starts with a copy of its parent's whole memory. The parent never sees what the child writes
//! there.

use nix::{
    sys::wait::wait,
    unistd::{ForkResult, fork, getpid},
};

fn main() -> nix::Result<()> {
    let mut test = 100;
    println!("parent {}: test = {test}", getpid());

    // SAFETY: this program has one thread, so the child finds no lock held by another.
    #[allow(unsafe_code)]
    match unsafe { fork() }? {
        ForkResult::Child => {
            println!("child {}: test = {test}", getpid());
            for _ in 0..10 {
                test += 1;
                println!("child {}: test = {test}", getpid());
            }
        }
        ForkResult::Parent { .. } => {
            wait()?;
            println!("parent {}: test = {test}, now that the child has ended", getpid());
        }
    }
    Ok(())
}
