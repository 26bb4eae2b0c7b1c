//! The statistics at the end of a capture file, found without reading the rest.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use super::{Counts, blocks::INTERFACE_STATISTICS};

/// Bytes around the body of a block: its type and length before, and its length again after. Then the interface and
/// the time at the start of a statistics block's body.
const AROUND: usize = 12;
const FIXED: usize = 12;
/// Maximum length of a statistics block, in bytes.
const LONGEST: u32 = 64 << 10;

/// The contents of the interface statistics blocks at the end of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The sum over all interfaces.
    pub counts: Counts,
    /// A comment, if there is one.
    pub comment: Option<String>,
}

impl Ending {
    /// Reads the end of a pcapng file; `None` if it does not end in such a block, or is not little-endian.
    pub fn of(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let mut end = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        let mut ending = None;
        while let Ok(Some(block)) = block_before(&file, end) {
            end -= block.len() as u64;
            ending.get_or_insert_with(Self::default).take_in(&block[8 + FIXED..block.len() - 4]);
        }
        ending
    }

    fn take_in(&mut self, mut options: &[u8]) {
        while let Some(([c0, c1, l0, l1], rest)) = options.split_first_chunk() {
            let (code, len) = (u16::from_le_bytes([*c0, *c1]), usize::from(u16::from_le_bytes([*l0, *l1])));
            let Some(value) = rest.get(..len) else { return };
            let number = || value.try_into().map_or(0, u64::from_le_bytes);
            match code {
                1 => self.comment = Some(String::from_utf8_lossy(value).into_owned()),
                4 => self.counts.received = self.counts.received.saturating_add(number()),
                5 => self.counts.dropped = self.counts.dropped.saturating_add(number()),
                _ => {}
            }
            options = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// Returns the statistics block that ends here, if one does.
fn block_before(file: &File, end: u64) -> io::Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    let Some(at) = end.checked_sub(4) else { return Ok(None) };
    file.read_exact_at(&mut len, at)?;
    let len = u32::from_le_bytes(len);
    let start = end.checked_sub(len.into());
    let (Some(start), true) = (start, len as usize >= AROUND + FIXED && len % 4 == 0 && len <= LONGEST)
    else {
        return Ok(None);
    };
    let mut block = vec![0; len as usize];
    file.read_exact_at(&mut block, start)?;
    let head = [INTERFACE_STATISTICS.to_le_bytes(), len.to_le_bytes()].concat();
    Ok(block.starts_with(&head).then_some(block))
}
