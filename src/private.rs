//! Folders and files for their owner alone, whatever the umask.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Makes a folder, with those above it as they usually are. One that is there already becomes private.
pub fn folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    match new_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            fs::set_permissions(path, Permissions::from_mode(0o700))
        }
        made => made,
    }
}

/// Makes a folder that is not there yet.
pub fn new_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Writes a file, in place of what is there.
pub fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // It may have been there already, for others to read.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_becomes_private_too() {
        let room = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let (inner, file) = (room.path().join("a/b"), room.path().join("a/b/file"));
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        fs::write(&file, "long text").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        folder(&inner).unwrap();
        write(&file, b"text").unwrap();
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read(&file).unwrap(), b"text");
        let new = room.path().join("c/d");
        folder(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        assert_eq!(new_folder(&new).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
