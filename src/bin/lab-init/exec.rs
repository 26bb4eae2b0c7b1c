//! `lab-init exec [--after FILE] [--log] [--size ROWS COLUMNS] [--workdir DIR] [--unprivileged] -- COMMAND…`:
//! becomes a program of the host, for a runtime that cannot prepare one from outside.
//!
//! It does not appear in the process table: the program replaces it and keeps its pid.

use std::{
    ffi::{CString, OsString},
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::ExitCode,
};

use netlab::privileges::{Capabilities, hide};
use nix::{
    errno::Errno,
    libc,
    sys::{
        inotify::{AddWatchFlags, InitFlags, Inotify},
        prctl::set_name,
    },
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};

use crate::{
    options::{number, words},
    program::{Program, failed},
};

/// How a program is to be started.
#[derive(Debug, Default, PartialEq, Eq)]
struct Launch {
    /// Start only once this file exists.
    after: Option<PathBuf>,
    /// Whether its output goes to the host's log, where process 1 writes.
    log: bool,
    /// The size to give its terminal: lines, columns.
    size: Option<(u16, u16)>,
    /// Its working directory.
    workdir: Option<String>,
    /// Whether it is a program under judgement.
    unprivileged: bool,
    /// The program and its arguments.
    argv: Vec<String>,
}

impl Launch {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut arguments = words(arguments)?.into_iter();
        let mut launch = Self::default();
        while let Some(option) = arguments.next() {
            match option.as_str() {
                "--" => break,
                "--after" => launch.after = Some(arguments.next().ok_or("--after needs a file")?.into()),
                "--log" => launch.log = true,
                "--size" => {
                    launch.size =
                        Some((number("--size", arguments.next())?, number("--size", arguments.next())?));
                }
                "--workdir" => {
                    launch.workdir = Some(arguments.next().ok_or("--workdir needs a folder")?);
                }
                "--unprivileged" => launch.unprivileged = true,
                _ => return Err(format!("unknown option: {option}")),
            }
        }
        launch.argv = arguments.collect();
        Ok(launch)
    }
}

/// Becomes the program. Returns only if that fails, with the exit code a shell would use.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let launch = match Launch::parse(arguments) {
        Ok(launch) => launch,
        Err(why) => {
            eprintln!("lab-init exec: {why}");
            return ExitCode::from(2);
        }
    };
    if launch.argv.is_empty() {
        eprintln!("lab-init exec: no command");
        return ExitCode::from(2);
    }
    let capabilities = match prepare(&launch).and_then(|()| capabilities()) {
        Ok(capabilities) => capabilities,
        Err(e) => return failed(&launch.argv[0], e).into(),
    };
    let program = Program {
        argv: &launch.argv,
        environment: None,
        workdir: launch.workdir.as_deref(),
        capabilities,
        unprivileged: launch.unprivileged,
    };
    program.run().into()
}

fn prepare(launch: &Launch) -> io::Result<()> {
    // This process may have more rights than the program, and others on the host must not get at those.
    hide()?;
    // The name that `ps` shows from now on, and by which the program is found.
    if let Some(name) = launch.argv.first().and_then(|program| program.rsplit('/').next()) {
        set_name(&CString::new(name)?)?;
    }
    if let Some(file) = &launch.after {
        wait_for(file)?;
    }
    if launch.log {
        let log = File::options().write(true).open("/proc/1/fd/1")?;
        dup2_stdout(&log)?;
        dup2_stderr(&log)?;
        dup2_stdin(File::open("/dev/null")?)?;
    }
    if let Some((rows, columns)) = launch.size {
        resize(rows, columns)?;
    }
    Ok(())
}

/// Returns the capabilities of this host's programs: those that process 1 has kept.
fn capabilities() -> io::Result<Capabilities> {
    let status = fs::read_to_string("/proc/1/status")?;
    let bound = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    bound
        .and_then(Capabilities::from_status)
        .ok_or_else(|| io::Error::other("process 1 shows no capabilities"))
}

/// Waits until the file exists.
fn wait_for(file: &Path) -> io::Result<()> {
    let news = Inotify::init(InitFlags::IN_CLOEXEC)?;
    news.add_watch(file.parent().unwrap_or(Path::new("/")), AddWatchFlags::IN_CREATE)?;
    while !file.exists() {
        news.read_events()?;
    }
    Ok(())
}

/// Sets the size of the terminal on standard input.
fn resize(rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads a `struct winsize`.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(io::stdin().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Ok(Errno::result(result).map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Launch, String> {
        Launch::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let launch =
            parse("--after /run/ready --log --size 24 80 --workdir /tmp --unprivileged -- ls --log").unwrap();
        assert_eq!(launch.after.as_deref(), Some(Path::new("/run/ready")));
        assert!(launch.log);
        assert_eq!(launch.size, Some((24, 80)));
        assert_eq!(launch.workdir.as_deref(), Some("/tmp"));
        assert!(launch.unprivileged);
        assert_eq!(launch.argv, ["ls", "--log"]);
        assert_eq!(parse("--size 24").unwrap_err(), "--size needs a number");
        assert_eq!(parse("--lag").unwrap_err(), "unknown option: --lag");
    }

    #[test]
    fn a_file_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait_for(&file));
            std::fs::write(folder.path().join("other"), "").unwrap();
            std::fs::write(&file, "").unwrap();
            waiting.join().unwrap().unwrap();
        });
        wait_for(&file).unwrap();
    }
}
