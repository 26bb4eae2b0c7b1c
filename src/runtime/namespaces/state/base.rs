//! The folder that holds a user's labs.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;

use super::{Found, refused};
use crate::{Error, Result, error::Context, own};

/// Where a user's labs are. What is there is not to be had but by [`Base::prepare`] and [`Base::lab`], which
/// look whose it is: what somebody else has made there would otherwise be taken for what a keeper has left.
#[derive(Clone, Debug)]
pub struct Base(PathBuf);

impl Base {
    /// `NETLAB_STATE` if set; else for root `/run/netlab`; else `netlab` in the user's runtime folder
    /// (`XDG_RUNTIME_DIR`) where there is one; else `/tmp/netlab-UID`.
    pub fn locate() -> Self {
        let user = geteuid();
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|m| m.uid() == user.as_raw());
        Self(if let Some(path) = variable("NETLAB_STATE") {
            path
        } else if user.is_root() {
            "/run/netlab".into()
        } else if let Some(path) = variable("XDG_RUNTIME_DIR").filter(own) {
            path.join("netlab")
        } else {
            format!("/tmp/netlab-{user}").into()
        })
    }

    /// That folder instead.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Makes the folder if it is not there.
    pub fn prepare(&self) -> Result<Prepared<'_>> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        created.or_lab(|| format!("cannot keep the lab's state in {}", self.0.display()))?;
        own::folder(&self.0).map_err(|e| refused(&self.0, e))?;
        Ok(Prepared(&self.0))
    }

    /// The folder of a lab, if it is there.
    pub fn lab(&self, lab: &str) -> Result<Option<Found>> {
        check_name(lab)?;
        if !self.is_there()? {
            return Ok(None);
        }
        Found::open(self.0.join(lab))
    }

    /// The names of the labs that have a folder, dead or alive.
    pub fn labs(&self) -> Result<Vec<String>> {
        if !self.is_there()? {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.0).or_lab(|| format!("cannot read {}", self.0.display()))?;
        let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| check_name(name).is_ok()).collect();
        names.sort();
        Ok(names)
    }

    fn is_there(&self) -> Result<bool> {
        match own::folder(&self.0) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(refused(&self.0, e)),
        }
    }
}

/// A folder for labs that is there, and this user's.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'b>(&'b Path);

impl Prepared<'_> {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0
    }

    /// Where the folder of a lab is to be.
    pub fn lab(&self, lab: &str) -> Result<PathBuf> {
        check_name(lab)?;
        Ok(self.0.join(lab))
    }
}

fn check_name(lab: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=32).contains(&lab.len()) && lab.chars().all(plain) {
        return Ok(());
    }
    Err(Error::usage(format!("not a lab's name: {lab:?}"))
        .hint("a name has letters, digits and dashes, at most 32"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn refusal(base: &Base) -> Vec<String> {
        let errors = [base.prepare().err(), base.lab("x").err(), base.labs().err()];
        errors.into_iter().map(|e| e.and_then(|e| e.hint).unwrap_or_default()).collect()
    }

    #[test]
    fn a_name_is_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let base = Base::at(folder.path());
        for name in ["", "..", "a/b", "a b", &"x".repeat(33)] {
            assert!(base.lab(name).is_err() && base.prepare().unwrap().lab(name).is_err(), "{name:?}");
        }
        assert_eq!(base.prepare().unwrap().lab("lab-1").unwrap(), folder.path().join("lab-1"));
        assert!(base.lab("lab-1").unwrap().is_none());
    }

    #[test]
    fn a_folder_open_to_others_and_a_link_are_refused_by_whatever_uses_them() {
        let folder = tempfile::tempdir().unwrap();
        let (open, link) = (folder.path().join("open"), folder.path().join("link"));
        fs::create_dir(&open).unwrap();
        symlink(folder.path(), &link).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        for path in [open, link] {
            let refused = refusal(&Base::at(path));
            assert!(refused.iter().all(|hint| hint.contains("NETLAB_STATE")), "{refused:?}");
        }
        assert!(refusal(&Base::at(folder.path())).iter().all(String::is_empty));
    }

    #[test]
    fn a_labs_folder_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lab = folder.path().join("x");
        fs::create_dir(&lab).unwrap();
        fs::set_permissions(&lab, fs::Permissions::from_mode(0o707)).unwrap();
        assert!(Base::at(folder.path()).lab("x").is_err());
        fs::set_permissions(&lab, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(Base::at(folder.path()).lab("x").unwrap().is_some());
    }
}
