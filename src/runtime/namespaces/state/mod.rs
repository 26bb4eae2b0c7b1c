//! Where labs keep their state: one folder a lab, held by the lab's keeper for as long as it lives.
//!
//! | file | what it is |
//! |---|---|
//! | `lab.json` | the plan |
//! | `keeper.sock` | where the keeper listens |
//! | `lock` | locked by the keeper for life: who can lock it knows that the lab is dead |
//! | `cgroups` | the control groups it has made, if any |
//! | `HOST.log` | what the host's own programs have printed |
//!
//! Building and clearing are done with the folder itself locked, so that two of them take turns.
//!
//! All of it may lie where others can write, as in `/tmp`. So nothing of it is used before it was seen to be
//! this user's own.

mod base;
mod claim;
mod folder;

use std::{io, path::Path};

pub use base::Base;
pub use claim::Claim;
pub use folder::{Folder, Found};

use crate::Error;

/// The state that cannot be used, above all because somebody else may have made it: whoever can write to it
/// could have programs started and processes ended on the user's behalf.
fn refused(path: &Path, cause: io::Error) -> Error {
    Error::lab(format!("cannot keep the lab's state in {}", path.display()))
        .caused_by(cause)
        .hint("set NETLAB_STATE to a folder of your own, which only you can write to")
}
