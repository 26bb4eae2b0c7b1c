//! Archives that students hand in.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use super::assert_harmless;
use crate::class::submission::{
    Bounds,
    archive::{Which, unpack_from},
    extract::Extractor,
};

/// Small, so that an input can reach them.
const BOUNDS: Bounds = Bounds { files: 64, file_bytes: 4096, total_bytes: 16384 };

/// Unpacks an archive, as one student's and as a class's.
pub fn archive(bytes: &[u8]) {
    for which in [Which::Sources, Which::All] {
        let Ok(folder) = tempfile::tempdir() else { return };
        let root = folder.path().join("a/b");
        fs::create_dir_all(&root).expect("a folder of our own");
        let one = Extractor::new(&root, BOUNDS);
        let mut extractor = if which == Which::All { one.of_many() } else { one };
        let done =
            unpack_from(Path::new("a.tar"), Cursor::new(bytes), &mut extractor, BOUNDS.total_bytes, which);
        if let Err(error) = done {
            assert_harmless(&error.with_causes());
            assert_harmless(error.hint.as_deref().unwrap_or_default());
        }
        extractor.missing().faults.values().for_each(|why| assert_harmless(why));
        let found = below(folder.path());
        assert!(found.iter().all(|(path, _)| path.starts_with(&root)), "{found:?}");
        assert!(found.len() <= BOUNDS.files, "{} files", found.len());
        let total: u64 = found.iter().map(|(_, bytes)| bytes).sum();
        assert!(total <= BOUNDS.total_bytes, "{total} bytes");
    }
}

/// Returns every file below a folder, with its length in bytes.
fn below(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of our own").flatten() {
        let about = entry.metadata().expect("a file of our own");
        if about.is_dir() {
            found.extend(below(&entry.path()));
        } else {
            assert!(about.is_file(), "{} is not a regular file", entry.path().display());
            found.push((entry.path(), about.len()));
        }
    }
    found
}
