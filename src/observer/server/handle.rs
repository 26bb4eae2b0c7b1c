//! A process, identified by its pidfd even if its pid is reused later.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::Pid,
};

use crate::kernel::sys;

/// One process of the machine.
pub struct Handle {
    pidfd: OwnedFd,
    pid: i32,
}

impl Handle {
    /// Opens the process with this pid. `None` if there is none.
    pub fn open(pid: i32) -> nix::Result<Option<Self>> {
        match sys::pidfd_open(Pid::from_raw(pid)) {
            Ok(pidfd) => Ok(Some(Self { pidfd, pid })),
            Err(Errno::ESRCH) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Returns whether it has ended, even if its parent has not waited for it.
    pub fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) != Ok(0)
    }

    /// Returns its pid in each PID namespace that it is in, ours first; empty once its parent has waited for
    /// it.
    pub fn numbers(&self) -> io::Result<Vec<i32>> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.pidfd.as_raw_fd()))?;
        let line = info.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let numbers = line.into_iter().flat_map(str::split_whitespace).filter_map(|n| n.parse().ok());
        Ok(numbers.filter(|n| *n > 0).collect())
    }

    /// Returns the name of its PID namespace in `/proc`, which stays unique as long as the namespace is held
    /// open.
    pub fn pid_namespace(&self) -> io::Result<String> {
        let name = fs::read_link(format!("/proc/{}/ns/pid", self.pid))?;
        // The pid was this process's all the time only if it still is.
        if self.numbers()?.first() != Some(&self.pid) {
            return Err(Errno::ESRCH.into());
        }
        Ok(name.to_string_lossy().into_owned())
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn it_stands_for_one_process_only() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let handle = Handle::open(pid).unwrap().unwrap();
        assert!(!handle.has_ended());
        assert_eq!(handle.numbers().unwrap().first(), Some(&pid));
        let own = fs::read_link("/proc/self/ns/pid").unwrap();
        assert_eq!(handle.pid_namespace().unwrap(), own.to_str().unwrap());

        child.kill().unwrap();
        child.wait().unwrap();
        assert!(handle.has_ended());
        assert!(handle.numbers().unwrap().is_empty());
        assert!(handle.pid_namespace().is_err());
    }

    #[test]
    fn where_there_is_no_process_there_is_no_handle() {
        assert!(Handle::open(i32::MAX).unwrap().is_none());
        assert!(Handle::open(0).is_err() && Handle::open(-1).is_err());
    }
}
