//! Reads as much of an ELF file (gABI, chapters 4 and 5) as is needed to find its code.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

/// Maximum number of program headers.
const MOST_HEADERS: u64 = 64;
/// Length of the ELF header and of a program header in a 64-bit file.
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// Maximum total size of names, in bytes.
const MOST_NAMES: u64 = 1 << 20;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PF_X: u32 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;

/// The locations of code and names in a program's file.
pub struct Elf {
    /// The file range of the first executable segment.
    pub code: Range<u64>,
    /// Whether it is statically linked, without a dynamic linker.
    pub is_static: bool,
    /// The file range of its dynamic section.
    dynamic: Range<u64>,
    /// The segments' ranges in memory, and their offsets in the file.
    segments: Vec<(Range<u64>, u64)>,
}

impl Elf {
    /// Reads a file; `None` if it is not a 64-bit program in this machine's byte order.
    pub fn read(file: &File) -> Option<Self> {
        let header: [u8; HEADER] = read(file, 0).ok()?;
        let order = if cfg!(target_endian = "little") { 1 } else { 2 };
        if !header.starts_with(b"\x7fELF\x02") || header[5] != order {
            return None;
        }
        let (at, count) = (u64_at(&header, 32), u64::from(u16::from_ne_bytes([header[56], header[57]])));
        let mut elf = Self { code: 0..0, is_static: true, dynamic: 0..0, segments: Vec::new() };
        for n in 0..count.min(MOST_HEADERS) {
            let entry: [u8; PROGRAM_HEADER] = read(file, at.checked_add(n * PROGRAM_HEADER as u64)?).ok()?;
            let (from, length) = (u64_at(&entry, 8), u64_at(&entry, 32));
            let place = from..from.checked_add(length)?;
            match u32_at(&entry, 0) {
                PT_INTERP => elf.is_static = false,
                PT_DYNAMIC => elf.dynamic = place,
                PT_LOAD => {
                    let memory = u64_at(&entry, 16);
                    elf.segments.push((memory..memory.checked_add(length)?, from));
                    if u32_at(&entry, 4) & PF_X != 0 && elf.code.is_empty() {
                        elf.code = place;
                    }
                }
                _ => {}
            }
        }
        (!elf.code.is_empty()).then_some(elf)
    }

    /// Returns the names of the symbols it uses from libraries, each followed by a zero byte.
    pub fn names(&self, file: &File) -> Option<Vec<u8>> {
        let (mut table, mut length) = (None, None);
        for at in self.dynamic.clone().step_by(16) {
            let entry: [u8; 16] = read(file, at).ok()?;
            match u64_at(&entry, 0) {
                DT_STRTAB => table = Some(u64_at(&entry, 8)),
                DT_STRSZ => length = Some(u64_at(&entry, 8)),
                0 => break,
                _ => {}
            }
        }
        let (table, length) = (table?, length?);
        let (memory, from) = self.segments.iter().find(|(memory, _)| memory.contains(&table))?;
        let mut names = vec![0; usize::try_from(length.min(MOST_NAMES)).ok()?];
        file.read_exact_at(&mut names, from + (table - memory.start)).ok()?;
        Some(names)
    }
}

fn read<const N: usize>(file: &File, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |four| u32::from_ne_bytes(*four))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |eight| u64::from_ne_bytes(*eight))
}
