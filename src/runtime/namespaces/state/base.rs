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

/// The location of a user's labs. Its contents are accessible only through [`Base::prepare`] and
/// [`Base::lab`], which check the owner: otherwise what somebody else created there would be taken for a
/// keeper's.
#[derive(Clone, Debug)]
pub struct Base {
    /// Where new ones are created.
    place: PathBuf,
    /// Where older ones may be, created by the same user with another environment.
    others: Vec<PathBuf>,
}

impl Base {
    /// Returns `NETLAB_STATE` if set; else for root `/run/netlab`; else `netlab` in the user's runtime folder
    /// (`XDG_RUNTIME_DIR`) if there is one; else `/tmp/netlab-UID`.
    ///
    /// Labs are also searched where the same user would have them with another environment, e.g. in a
    /// separate login, with `su` or in a cron job.
    pub fn locate() -> Self {
        let user = geteuid();
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(place) = variable("NETLAB_STATE") {
            // The keeper's working folder differs from this program's.
            return Self::at(std::path::absolute(&place).unwrap_or(place));
        }
        if user.is_root() {
            return Self::at("/run/netlab");
        }
        let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|m| m.uid() == user.as_raw());
        let runtime = variable("XDG_RUNTIME_DIR").into_iter().chain([format!("/run/user/{user}").into()]);
        let runtime: Vec<_> = runtime.filter(own).map(|path| path.join("netlab")).collect();
        let is_set = variable("XDG_RUNTIME_DIR").as_ref().is_some_and(own);
        let shared = PathBuf::from(format!("/tmp/netlab-{user}"));
        if is_set { Self::first_of(runtime, shared) } else { Self { place: shared, others: runtime } }
    }

    fn first_of(runtime: Vec<PathBuf>, shared: PathBuf) -> Self {
        let mut all = runtime.into_iter().chain([shared]);
        let place = all.next().unwrap_or_default();
        Self { others: all.filter(|path| *path != place).collect(), place }
    }

    /// Uses that folder and no other.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { place: path.into(), others: Vec::new() }
    }

    /// Creates the folder if it is missing.
    pub fn prepare(&self) -> Result<Prepared<'_>> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&self.place);
        created.or_lab(|| format!("cannot keep the lab's state in {}", self.place.display()))?;
        own::folder(&self.place).map_err(|e| refused(&self.place, e))?;
        Ok(Prepared(&self.place))
    }

    /// Returns the folder, if it exists.
    pub fn there(&self) -> Result<Option<Prepared<'_>>> {
        match own::folder(&self.place) {
            Ok(_) => Ok(Some(Prepared(&self.place))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(refused(&self.place, e)),
        }
    }

    /// Returns the folder of a lab, if it exists.
    pub fn lab(&self, lab: &str) -> Result<Option<Found>> {
        check_name(lab)?;
        for place in self.places()? {
            if let Some(found) = Found::open(place.join(lab))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Returns the names of the labs that have a folder, dead or alive.
    pub fn labs(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for place in self.places()? {
            let entries = fs::read_dir(place).or_lab(|| format!("cannot read {}", place.display()))?;
            let here = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
            names.extend(here.filter(|name| check_name(name).is_ok()));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Returns the existing folders for labs. A folder of another user in place of an older one is skipped.
    fn places(&self) -> Result<Vec<&Path>> {
        let mut places: Vec<_> = self.there()?.map(|there| there.path()).into_iter().collect();
        places.extend(self.others.iter().map(PathBuf::as_path).filter(|other| own::folder(other).is_ok()));
        Ok(places)
    }
}

/// An existing folder for labs that belongs to this user.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'b>(&'b Path);

impl<'b> Prepared<'b> {
    /// Returns its path.
    pub fn path(&self) -> &'b Path {
        self.0
    }

    /// Returns the path of a lab's folder.
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
        .hint("a name has at most 32 letters, digits and dashes"))
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
    fn a_lab_is_found_where_another_environment_put_it() {
        let folder = tempfile::tempdir().unwrap();
        let [here, there, squatted] = ["here", "there", "squatted"].map(|name| folder.path().join(name));
        for path in [&there.join("x"), &squatted.join("y")] {
            fs::create_dir_all(path).unwrap();
        }
        for path in [&there, &there.join("x")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::set_permissions(&squatted, fs::Permissions::from_mode(0o777)).unwrap();
        let base = Base { place: here.clone(), others: vec![squatted, there] };
        assert_eq!(base.labs().unwrap(), ["x"]);
        assert!(base.lab("x").unwrap().is_some() && base.lab("y").unwrap().is_none());
        base.prepare().unwrap();
        fs::create_dir(here.join("x")).unwrap();
        assert_eq!(base.labs().unwrap(), ["x"]);
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
