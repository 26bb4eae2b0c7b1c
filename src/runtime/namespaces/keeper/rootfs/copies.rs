//! Copies of the machine's folders that hosts may change: in memory, of limited size.

use std::{fs, io, os::unix::fs::chown, path::Path};

use super::{detached::Detached, inodes};
use crate::{Result, error::Context};

/// Copies a folder into a file system that holds at most this many bytes. Everything belongs to `owner`, if
/// given.
pub fn copy(source: &Path, bytes: u64, owner: Option<u32>) -> Result<Detached> {
    let options =
        [("size", bytes.to_string()), ("nr_inodes", inodes(bytes).to_string()), ("mode", "755".into())];
    let copy = Detached::tmpfs(&options)?;
    fill(source, &copy.path(), owner).or_lab(|| format!("cannot copy {} for the hosts", source.display()))?;
    Ok(copy)
}

/// Copies the files and subfolders of a folder; other file types are left out.
fn fill(from: &Path, to: &Path, owner: Option<u32>) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(&target)?;
            fill(&entry.path(), &target, owner)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
            chown(&target, owner, owner)?;
        }
    }
    chown(to, owner, owner)
}
