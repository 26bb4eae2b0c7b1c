//! The last step before a program of the host: this process becomes it, with no more privileges than the
//! program may have.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::Command,
};

use netlab::{
    errno::strerror,
    privileges::{Capabilities, STUDENT, STUDENT_ID, give_up, restrict_calls},
    workspace::ON_HOSTS,
};
use nix::{
    errno::Errno,
    unistd::{Gid, Uid},
};

use crate::default_dispositions;

/// A program to become.
pub struct Program<'a> {
    /// The program and its arguments.
    pub argv: &'a [String],
    /// Its whole environment; this process's if unset.
    pub environment: Option<&'a BTreeMap<String, String>>,
    /// Its working directory; the root folder if unset.
    pub workdir: Option<&'a str>,
    /// Its capabilities at most.
    pub capabilities: Capabilities,
    /// Whether it is a program under judgement; see [`netlab::runtime::Command::unprivileged`].
    pub unprivileged: bool,
}

impl Program<'_> {
    /// Becomes the program. Returns only if that fails, with the exit code a shell would use.
    pub fn run(&self) -> u8 {
        let Some((program, arguments)) = self.argv.split_first() else {
            return failed("", Errno::ENOENT.into());
        };
        let folder = self.workdir.unwrap_or("/");
        let home = match self.lower_privileges() {
            Ok(home) => home,
            Err(e) => return failed("its privileges", e),
        };
        // With the program's own rights: root may enter folders that the student may not.
        if let Err(e) = std::env::set_current_dir(folder) {
            return failed(folder, e);
        }
        default_dispositions();
        let mut command = Command::new(program);
        command.args(arguments);
        if let Some(environment) = self.environment {
            command.env_clear().envs(environment);
        }
        if let Some(home) = home {
            command.env("HOME", home).env("USER", STUDENT).env("LOGNAME", STUDENT);
        }
        let error = command.exec();
        if error.raw_os_error() != Some(Errno::ENOENT as i32) {
            return failed(program, error);
        }
        if program.contains('/') {
            failed(program, error);
        } else {
            eprintln!("netlab: {program}: command not found");
        }
        NOT_FOUND
    }

    /// Drops the privileges that the program must not have. Returns its home, if that differs from root's.
    fn lower_privileges(&self) -> io::Result<Option<String>> {
        if !self.unprivileged {
            self.capabilities.limit()?;
            return Ok(None);
        }
        let (uid, gid) = student();
        give_up(uid, gid)?;
        restrict_calls().map_err(io::Error::other)?;
        Ok((uid.as_raw() == STUDENT_ID).then(|| format!("/home/{STUDENT}")))
    }
}

/// A shell's exit code if there is no such program.
const NOT_FOUND: u8 = 127;
/// A shell's exit code if the program cannot be run.
const CANNOT_RUN: u8 = 126;

/// Reports a failure as a shell would. Returns the exit code for it.
pub fn failed(what: &str, error: io::Error) -> u8 {
    eprintln!("netlab: {what}: {}", strerror(error));
    CANNOT_RUN
}

/// The user that a program under judgement runs as: the owner of the workspace, since it could not compile
/// there otherwise; the host's ordinary user if there is no workspace.
fn student() -> (Uid, Gid) {
    let owner = fs::metadata(Path::new(ON_HOSTS)).map(|found| (found.uid(), found.gid()));
    let (uid, gid) = owner.unwrap_or((STUDENT_ID, STUDENT_ID));
    (Uid::from_raw(uid), Gid::from_raw(gid))
}
