//! Opens files and folders that only this user can have created or changed, and does so in the one way that
//! follows no link, never blocks and reads no more than requested.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use nix::{fcntl::OFlag, unistd::geteuid};
use tempfile::NamedTempFile;

use crate::signals::Uninterrupted;

/// Refuses files that belong to another user or that others may write to. This also applies to root, whose
/// programs would otherwise act on what any user has written for them.
pub fn check(about: &Metadata) -> io::Result<()> {
    if about.uid() != geteuid().as_raw() {
        return Err(refused(&format!("it belongs to the user with id {}", about.uid())));
    }
    // A socket's mode does not decide who may connect: its folder's mode does, and the listener's own check.
    if about.mode() & 0o022 != 0 && !about.file_type().is_socket() {
        return Err(refused("others may write to it"));
    }
    Ok(())
}

/// Opens a folder that is not a link.
pub fn any_folder(path: &Path) -> io::Result<File> {
    with(OFlag::O_DIRECTORY).read(true).open(path)
}

/// Opens a folder of this user's own.
pub fn folder(path: &Path) -> io::Result<File> {
    let folder = any_folder(path)?;
    check(&folder.metadata()?)?;
    Ok(folder)
}

/// Opens a file of this user's own for reading.
pub fn file(path: &Path) -> io::Result<File> {
    own(with(OFlag::O_NONBLOCK).read(true).open(path)?)
}

/// Opens a file of this user's own for appending, creating it if it does not exist.
pub fn append(path: &Path) -> io::Result<File> {
    own(with(OFlag::O_NONBLOCK).create(true).append(true).mode(0o600).open(path)?)
}

/// Creates a folder that only this user can access, whatever the umask.
pub fn new_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Ensures that a folder exists and that only this user can access it.
pub fn make_private(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    match new_folder(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            any_folder(path)?.set_permissions(Permissions::from_mode(0o700))
        }
        made => made,
    }
}

/// Writes a file that only this user can read, replacing any file of that name, which stays intact until the
/// new one is complete. A link there is replaced, not followed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _whole = Uninterrupted::begin();
    beside(path, bytes, 0o600)?.persist(path).map(drop).map_err(Into::into)
}

/// Writes a file to a path the user chose, readable as the umask permits: completely or not at all. A link
/// there is followed. A special file, e.g. a pipe, is written to.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let is_plain = match fs::metadata(path) {
        Ok(about) => about.is_file(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    // Such a file belongs to the process that opened it, e.g. the shell for `>file`.
    if !is_plain || path.starts_with("/dev") || path.starts_with("/proc") {
        return fs::write(path, bytes);
    }
    let _whole = Uninterrupted::begin();
    beside(&place, bytes, 0o666)?.persist(&place).map(drop).map_err(Into::into)
}

/// The same for a file that must not exist yet: `AlreadyExists` if it does.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let _whole = Uninterrupted::begin();
    beside(path, bytes, 0o666)?.persist_noclobber(path).map(drop).map_err(Into::into)
}

/// Writes to a temporary file, which is removed on drop.
fn beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Reads a file of this user's own.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    at_most(file(path)?, most)
}

/// Reads a regular file of any owner.
pub fn read_anybodys(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    at_most(open_anybodys(path)?, most)
}

/// Opens a file that a user names: a regular file, or one that the shell has already opened, e.g. for
/// `<(command)`.
pub fn open_named(path: &Path) -> io::Result<File> {
    let given = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|given| path.starts_with(given));
    if given { File::open(path) } else { open_anybodys(path) }
}

/// Opens a regular file of any owner.
fn open_anybodys(path: &Path) -> io::Result<File> {
    // Opening a pipe without a writer would block.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

/// Reads to the end; an error if that is too much.
fn at_most(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

fn own(file: File) -> io::Result<File> {
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(refused("it is not a regular file"));
    }
    check(&about)?;
    Ok(file)
}

fn with(flags: OFlag) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((flags | OFlag::O_NOFOLLOW).bits());
    options
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_what_others_may_write_to_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, link, shared) =
            (folder.path().join("mine"), folder.path().join("link"), folder.path().join("shared"));
        fs::write(&mine, "x").unwrap();
        fs::set_permissions(&mine, Permissions::from_mode(0o644)).unwrap();
        symlink(&mine, &link).unwrap();
        fs::write(&shared, "x").unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(read(&mine, 1).unwrap(), b"x");
        for path in [&link, &shared] {
            assert!(file(path).is_err() && append(path).is_err(), "{}", path.display());
        }
        assert!(super::folder(folder.path()).is_ok());
        symlink(folder.path(), folder.path().join("folder")).unwrap();
        assert!(super::folder(&folder.path().join("folder")).is_err());
    }

    #[test]
    fn what_a_link_leads_to_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (other, link) = (folder.path().join("other"), folder.path().join("link"));
        fs::write(&other, "theirs").unwrap();
        symlink(&other, &link).unwrap();
        replace(&link, b"ours").unwrap();
        assert_eq!((fs::read(&other).unwrap(), fs::read(&link).unwrap()), (b"theirs".into(), b"ours".into()));
        assert_eq!(fs::symlink_metadata(&link).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_folder_becomes_private_whether_or_not_it_was_there() {
        let room = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        let (old, new) = (room.path().join("a/b"), room.path().join("c/d"));
        fs::create_dir_all(&old).unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o755)).unwrap();
        make_private(&old).unwrap();
        make_private(&new).unwrap();
        assert_eq!((mode(&old), mode(&new)), (0o700, 0o700));
        assert_eq!(new_folder(&new).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_has_no_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (long, pipe) = (folder.path().join("long"), folder.path().join("pipe"));
        fs::write(&long, "xx").unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert_eq!(read_anybodys(&long, 2).unwrap(), b"xx");
        assert_eq!(read_anybodys(&long, 1).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        for path in [pipe.as_path(), Path::new("/dev/zero")] {
            assert!(read_anybodys(path, 100).is_err() && open_named(path).is_err(), "{}", path.display());
        }
    }
}
