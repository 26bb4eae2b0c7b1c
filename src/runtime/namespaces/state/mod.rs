//! Where labs keep their state: one folder per lab, locked by the lab's keeper as long as it lives.
//!
//! | file | contents |
//! |---|---|
//! | `lab.json` | the plan |
//! | `keeper.sock` | where the keeper listens |
//! | `lock` | locked by the keeper as long as it lives: if it can be locked, the lab is dead |
//! | `cgroups` | the control groups it has created, if any |
//! | `HOST.log` | the output of the host's own programs |
//!
//! The folder itself is locked during building and clearing, so that two processes take turns.
//!
//! All of it may be where others can write, e.g. in `/tmp`. So nothing is used before it was checked to be
//! this user's own.

mod base;
mod claim;
mod folder;

use std::{io, path::Path};

pub use base::Base;
pub use claim::Claim;
pub use folder::{Folder, Found};

use crate::Error;

/// The error for state that cannot be used, mainly because somebody else may have created it: whoever can
/// write to it could have programs started and processes killed on the user's behalf.
fn refused(path: &Path, cause: io::Error) -> Error {
    Error::lab(format!("cannot keep the lab's state in {}", path.display()))
        .caused_by(cause)
        .hint("set NETLAB_STATE to a folder of your own, which only you can write to")
}
