//! Detached mounts: created where the machine's files can be reached, and attached later by a process that
//! may not reach them (open_tree(2), fsopen(2), mount_setattr(2)).

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{errno::Errno, libc};
use rustix::{
    fs::CWD,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    },
};

use super::make_place;
use crate::{Error, Result, error::Context};

/// A mount that is not attached anywhere yet.
pub struct Detached {
    mount: OwnedFd,
    is_folder: bool,
}

/// What a mount allows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Files can be read and executed, but not changed.
    ReadOnly,
    /// The same, and files can be changed as their modes permit.
    Writable,
    /// Device files work, but cannot be changed themselves.
    Devices,
}

impl Kind {
    fn attributes(self) -> MountAttrFlags {
        let (nosuid, nodev) = (MountAttrFlags::MOUNT_ATTR_NOSUID, MountAttrFlags::MOUNT_ATTR_NODEV);
        match self {
            Self::ReadOnly => nosuid | nodev | MountAttrFlags::MOUNT_ATTR_RDONLY,
            Self::Writable => nosuid | nodev,
            Self::Devices => nosuid | MountAttrFlags::MOUNT_ATTR_NOEXEC | MountAttrFlags::MOUNT_ATTR_RDONLY,
        }
    }
}

impl Detached {
    /// Clones the mount at a path, with everything mounted below it.
    pub fn of(path: &Path, kind: Kind) -> Result<Self> {
        let what = || format!("cannot show {} to a host", path.display());
        let is_folder = path.metadata().or_lab(what)?.is_dir();
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let mount = open_tree(CWD, path, flags).map_err(io::Error::from).or_lab(what)?;
        let mount = Self { mount, is_folder };
        mount.protect(kind)?;
        Ok(mount)
    }

    /// Creates a tmpfs, with options such as `size`.
    pub fn tmpfs(options: &[(&str, String)]) -> Result<Self> {
        let make = || {
            let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
            for (key, value) in options {
                fsconfig_set_string(context.as_fd(), *key, value.as_str())?;
            }
            fsconfig_create(context.as_fd())?;
            fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, Kind::Writable.attributes())
        };
        let mount = make().map_err(io::Error::from).or_lab(|| "cannot make a file system in memory")?;
        Ok(Self { mount, is_folder: true })
    }

    /// Restricts what the mount allows, and those mounted below it.
    pub fn protect(&self, kind: Kind) -> Result<()> {
        set(&self.mount, kind.attributes(), None).map_err(|e| {
            let error = Error::lab("cannot protect what hosts share").caused_by(e);
            if e == Errno::ENOSYS { error.hint("this needs Linux 5.12 or newer") } else { error }
        })
    }

    /// Shows its files as this user namespace maps their owners.
    pub fn map_owners(&self, namespace: &File) -> nix::Result<()> {
        // `MOUNT_ATTR_IDMAP` of `linux/mount.h`.
        set(&self.mount, MountAttrFlags::from_bits_retain(0x0010_0000), Some(namespace))
    }

    /// Returns the path at which this process can reach its contents.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.mount.as_raw_fd()).into()
    }

    /// Attaches it in this process's mount namespace, creating the mount point if necessary.
    pub fn attach(&self, place: &Path) -> Result<()> {
        let what = || format!("cannot mount at {}", place.display());
        make_place(place, self.is_folder).or_lab(what)?;
        let moved = move_mount(self.mount.as_fd(), "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
        moved.map_err(io::Error::from).or_lab(what)
    }
}

/// Sets attributes of a mount and of those below it (mount_setattr(2)).
#[allow(unsafe_code, reason = "the call has no safe wrapper")]
fn set(mount: &OwnedFd, attributes: MountAttrFlags, namespace: Option<&File>) -> nix::Result<()> {
    /// The kernel's `struct mount_attr`.
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        namespace: u64,
    }
    let namespace = namespace.map_or(0, AsRawFd::as_raw_fd);
    let namespace = u64::try_from(namespace).map_err(|_| Errno::EBADF)?;
    let wanted = MountAttr { set: attributes.bits().into(), clear: 0, propagation: 0, namespace };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string, and `wanted` is the kernel's structure, with its size.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const wanted,
            size_of::<MountAttr>(),
        )
    };
    Errno::result(set).map(drop)
}
