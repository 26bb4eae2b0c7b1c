//! Files that netlab writes are complete or absent.

use std::{fs, path::Path};

use flate2::read::GzDecoder;

use crate::{census::below, world::World};

/// Checks every file in a world's workspace.
pub fn files(world: &World, may_leave_temporary: bool) -> Result<(), String> {
    let files = below(&world.work());
    for path in files.iter().filter(|path| path.is_file()) {
        let name = path.file_name().unwrap().to_string_lossy();
        if name.starts_with(".tmp") {
            if may_leave_temporary {
                continue;
            }
            return Err(format!("a temporary file is left: {}", path.display()));
        }
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let whole = match path.extension().and_then(|extension| extension.to_str()) {
            Some("pcapng") => {
                world.run(&["capture", "show", &path.to_string_lossy()]).code() == Some(0) && blocks(&bytes)
            }
            Some("json") => serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(),
            Some("html") => bytes.trim_ascii_end().ends_with(b"</html>"),
            Some("gz") if name == netlab::record::FILE => {
                serde_json::from_reader::<_, serde_json::Value>(GzDecoder::new(&bytes[..])).is_ok()
            }
            Some("gz") => archive(path),
            _ => continue,
        };
        if !whole {
            return Err(format!("{} is incomplete ({} bytes)", path.display(), bytes.len()));
        }
    }
    Ok(())
}

/// Returns whether a capture consists of blocks from beginning to end: each has its length at both ends.
pub fn blocks(mut bytes: &[u8]) -> bool {
    let number = |at: &[u8]| at.first_chunk().map(|four| u32::from_le_bytes(*four) as usize);
    while !bytes.is_empty() {
        let Some(length) =
            bytes.get(4..).and_then(number).filter(|length| (12..=bytes.len()).contains(length))
        else {
            return false;
        };
        if number(&bytes[length - 4..]) != Some(length) {
            return false;
        }
        bytes = &bytes[length..];
    }
    true
}

fn archive(path: &Path) -> bool {
    let file = fs::File::open(path).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    archive.entries().is_ok_and(|mut entries| entries.all(|entry| entry.is_ok()))
}
