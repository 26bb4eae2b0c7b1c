//! The files of a new workspace, compiled in.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{Result, error::FileContext, own};

/// Their names in the workspace, and their contents.
const FILES: [(&str, &str); 8] = [
    ("README.md", include_str!("../../workspace/README.md")),
    ("WORKSHEET.md", include_str!("../../workspace/WORKSHEET.md")),
    ("netlab.yaml", include_str!("../../workspace/netlab.yaml")),
    ("Makefile", include_str!("../../workspace/Makefile")),
    ("TCPEchod.c", include_str!("../../workspace/TCPEchod.c")),
    ("TCPEcho.c", include_str!("../../workspace/TCPEcho.c")),
    // Called Cargo.toml, it would make its folder a package, which cargo would leave out of this one.
    ("rust/Cargo.toml", include_str!("../../workspace/rust/package.toml")),
    ("rust/src/main.rs", include_str!("../../workspace/rust/src/main.rs")),
];

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It was written.
    Written,
    /// It existed, and was kept as it is.
    Kept,
}

/// Makes `folder` a workspace. Existing files are kept as they are.
pub fn lay_out(folder: &Path) -> Result<Vec<(PathBuf, Placement)>> {
    FILES.iter().map(|(name, text)| write_new(&folder.join(name), text)).collect()
}

fn write_new(path: &Path, text: &str) -> Result<(PathBuf, Placement)> {
    let what = || format!("cannot write {}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).or_file(what)?;
    let laid = match own::write_new(path, text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Placement::Kept,
        written => written.or_file(what).map(|()| Placement::Written)?,
    };
    Ok((path.to_owned(), laid))
}

/// Returns the starter's sources in C, which need nothing else: their names and contents.
pub fn sources() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_c = |name: &str| name == "Makefile" || Path::new(name).extension().is_some_and(|e| e == "c");
    FILES.into_iter().filter(move |(name, _)| of_c(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_already_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("TCPEchod.c");
        fs::write(&mine, "mine").unwrap();
        let laid = lay_out(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
        let kept: Vec<_> = laid.iter().filter(|(_, laid)| *laid == Placement::Kept).collect();
        assert_eq!(kept, [&(mine, Placement::Kept)]);
        assert!(lay_out(folder.path()).unwrap().iter().all(|(_, laid)| *laid == Placement::Kept));
    }
}
