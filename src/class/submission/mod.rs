//! Submissions: a workspace packed as one archive, and unpacked for grading.
//!
//! Submissions are not trusted. Whatever an archive or a folder holds, only regular files of a bounded
//! number and size come out of it, into a folder of their own ([`extractor`]). Built programs and evidence
//! are left behind, because a submission is judged by what its sources do.

pub(crate) mod archive;
mod class;
pub(crate) mod extract;
mod pack;
mod scratch;
mod sources;
pub(crate) mod walk;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use class::{Class, GRADES, Submission};
pub use pack::{Packed, pack};
pub use sources::Sources;

/// The most a submission may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Files and folders.
    pub files: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files together.
    pub total_bytes: u64,
}

impl Bounds {
    /// The bounds of one student's sources.
    pub const SUBMISSION: Self = Self { files: 2000, file_bytes: 4 << 20, total_bytes: 32 << 20 };
    /// The bounds of a whole class in one archive from a learning platform.
    pub const CLASS: Self = Self { files: 50_000, file_bytes: 64 << 20, total_bytes: 4 << 30 };
}

/// In an archive: the folder that netlab adds to the sources.
const OWN: &str = ".netlab";
/// In [`OWN`]: the list of all files.
const MANIFEST: &str = "manifest.json";
/// In [`OWN`]: the latest run's evidence and capture. For people; never read when grading.
const RUN: &str = "run";

/// The contents of an archive, according to whoever packed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of netlab that packed it.
    pub netlab: String,
    /// When it was packed.
    pub made: Timestamp,
    /// The SHA-256 of each file, in hexadecimal, by its path in the archive.
    pub files: BTreeMap<String, String>,
}
