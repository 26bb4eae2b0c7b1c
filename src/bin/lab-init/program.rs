//! The last step before a program of the host: this process becomes it, with no more rights than it is to
//! have.

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
    /// It and its arguments.
    pub argv: &'a [String],
    /// Its whole environment; this process's if unset.
    pub environment: Option<&'a BTreeMap<String, String>>,
    /// Where it starts; the root folder if unset.
    pub workdir: Option<&'a str>,
    /// What it may have at most.
    pub capabilities: Capabilities,
    /// Whether it is under judgement; see [`netlab::runtime::Command::unprivileged`].
    pub unprivileged: bool,
}

impl Program<'_> {
    /// Becomes the program. Returns only if it cannot, with a shell's exit code for that.
    pub fn run(&self) -> u8 {
        let Some((program, arguments)) = self.argv.split_first() else {
            return failed("", Errno::ENOENT.into());
        };
        let folder = self.workdir.unwrap_or("/");
        let home = match self.lower_privileges() {
            Ok(home) => home,
            Err(e) => return failed("its privileges", e),
        };
        // As who it is: root may enter what the student may not.
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

    /// Gives up what the program is not to have. Gives its home, where that is another one than root's.
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

/// What a shell exits with where there is no such program.
const NOT_FOUND: u8 = 127;
/// And where there is one that cannot be run.
const CANNOT_RUN: u8 = 126;

/// Tells that something could not be done, as a shell would. Gives the exit code for it.
pub fn failed(what: &str, error: io::Error) -> u8 {
    eprintln!("netlab: {what}: {}", strerror(error));
    CANNOT_RUN
}

/// Whom a program under judgement runs as: the owner of the workspace, or it could not compile there; the
/// host's ordinary user where there is none.
fn student() -> (Uid, Gid) {
    let owner = fs::metadata(Path::new(ON_HOSTS)).map(|found| (found.uid(), found.gid()));
    let (uid, gid) = owner.unwrap_or((STUDENT_ID, STUDENT_ID));
    (Uid::from_raw(uid), Gid::from_raw(gid))
}
