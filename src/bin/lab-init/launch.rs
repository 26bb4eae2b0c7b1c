//! `lab-init exec [--after FILE] [--log] [--size ROWS COLUMNS] [--workdir DIR] -- COMMAND…`: becomes a
//! program of the host, for a runtime that cannot prepare one from outside.
//!
//! It takes no room in the process table: the program takes its place and keeps its number.

use std::{
    ffi::{CString, OsString},
    fs::File,
    io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use netlab::errno::strerror;
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
    default_dispositions,
    options::{number, words},
};

/// How a program is to be started.
#[derive(Debug, Default, PartialEq, Eq)]
struct Launch {
    /// Not before this file is there.
    after: Option<PathBuf>,
    /// Whether what it prints goes to the host's log, which is where process 1 prints.
    log: bool,
    /// The size to give its terminal: lines, columns.
    size: Option<(u16, u16)>,
    /// Where it starts.
    workdir: Option<PathBuf>,
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
                    launch.workdir = Some(arguments.next().ok_or("--workdir needs a folder")?.into());
                }
                _ => return Err(format!("unknown option: {option}")),
            }
        }
        launch.argv = arguments.collect();
        Ok(launch)
    }
}

/// Becomes the program. Returns only if it cannot: then with a shell's exit code for that.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let launch = match Launch::parse(arguments) {
        Ok(launch) => launch,
        Err(why) => {
            eprintln!("lab-init exec: {why}");
            return ExitCode::from(2);
        }
    };
    let Some((program, arguments)) = launch.argv.split_first() else {
        eprintln!("lab-init exec: no command");
        return ExitCode::from(2);
    };
    if let Err(e) = prepare(&launch) {
        eprintln!(
            "netlab: {}: {}",
            launch.workdir.as_deref().unwrap_or(Path::new("/")).display(),
            strerror(e)
        );
        return ExitCode::from(126);
    }
    let error = Command::new(program).args(arguments).exec();
    let missing = error.raw_os_error() == Some(Errno::ENOENT as i32);
    if missing && !program.contains('/') {
        eprintln!("netlab: {program}: command not found");
    } else {
        eprintln!("netlab: {program}: {}", strerror(error));
    }
    ExitCode::from(if missing { 127 } else { 126 })
}

fn prepare(launch: &Launch) -> io::Result<()> {
    // As `ps` shows it from now on, and whoever looks for it by name finds it.
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
    default_dispositions();
    std::env::set_current_dir(launch.workdir.as_deref().unwrap_or(Path::new("/")))
}

/// Waits until the file is there.
fn wait_for(file: &Path) -> io::Result<()> {
    let news = Inotify::init(InitFlags::IN_CLOEXEC)?;
    news.add_watch(file.parent().unwrap_or(Path::new("/")), AddWatchFlags::IN_CREATE)?;
    while !file.exists() {
        news.read_events()?;
    }
    Ok(())
}

/// Gives the terminal on standard input its size.
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
        let launch = parse("--after /run/ready --log --size 24 80 --workdir /tmp -- ls --log").unwrap();
        assert_eq!(launch.after.as_deref(), Some(Path::new("/run/ready")));
        assert!(launch.log);
        assert_eq!(launch.size, Some((24, 80)));
        assert_eq!(launch.workdir.as_deref(), Some(Path::new("/tmp")));
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
