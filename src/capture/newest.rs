//! The capture one most likely means.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{Error, Result};

/// How deep below the folder to look: a lab's folder, a run's, and one to spare.
const DEPTH: usize = 3;

/// The capture file changed last, in a folder or below.
pub fn newest(folder: &Path) -> Result<PathBuf> {
    let mut best = None;
    search(folder, DEPTH, &mut best);
    best.map(|(_, path)| path).ok_or_else(|| {
        Error::usage(format!("no capture under {}", folder.display()))
            .hint("name a file, or record one with `netlab capture start`")
    })
}

/// What cannot be read is passed over: it is not what the user meant.
fn search(folder: &Path, depth: usize, best: &mut Option<(SystemTime, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() && depth > 0 {
            search(&path, depth - 1, best);
        }
        let is_capture = path.extension().is_some_and(|e| e == "pcapng" || e == "pcap");
        if let (true, true, Ok(changed)) = (metadata.is_file(), is_capture, metadata.modified())
            && best.as_ref().is_none_or(|(latest, _)| changed > *latest)
        {
            *best = Some((changed, path));
        }
    }
}
