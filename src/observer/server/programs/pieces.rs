//! Recognises programs by pieces of their code, wherever in a file these are.
//!
//! For each known program some short pieces of its code are kept, as hashes. A file is read once from
//! beginning to end with a rolling hash (Karp and Rabin, 1987), so that a piece is found at any offset.
//! Neither what surrounds the code nor a few changed bytes matter.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
};

/// The length of a piece in bytes: a handful of instructions.
const PIECE: usize = 32;
/// A piece is taken at every multiple of this many bytes...
const EVERY: usize = 64;
/// ...within this many places in a program's code, spread as far apart as possible...
const PLACES: u64 = 24;
/// ...each of this many bytes.
const PLACE: u64 = 1 << 10;
/// A piece with fewer distinct bytes than this is padding or a table, and could be anybody's.
const LEAST_VARIETY: usize = 12;
/// A program with fewer pieces than this is too short to be recognised.
const LEAST_PIECES: usize = 16;
/// At most this many bytes of a file are read.
const MOST: u64 = 64 << 20;
/// Bytes per read.
const CHUNK: usize = 1 << 16;

/// The base of the rolling hash, modulo 2^64; any large odd number does.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
/// The factor of a byte that leaves the window.
const LEAVES: u64 = {
    let (mut power, mut n) = (1u64, 0);
    while n < PIECE {
        power = power.wrapping_mul(BASE);
        n += 1;
    }
    power
};

/// Programs, indexed by pieces of their code.
#[derive(Clone)]
pub struct Pieces {
    /// The names, each with the share of its pieces that makes a file a copy.
    names: Vec<(String, f64)>,
    /// The number of pieces of each.
    counts: Vec<usize>,
    /// By hash of a piece: the programs that have it, and its index in each.
    places: HashMap<u64, Vec<(usize, usize)>>,
    /// A bit for a prefix of every known hash, since nearly all pieces of a file are unknown.
    filter: Vec<u64>,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { names: Vec::new(), counts: Vec::new(), places: HashMap::new(), filter: vec![0; 1 << 14] }
    }
}

impl Pieces {
    /// Adds a program by the code in its file. A file with at least this share of its pieces is a copy of it.
    pub fn add(&mut self, name: String, file: &File, code: Range<u64>, least: f64) -> io::Result<()> {
        let mut pieces = HashSet::new();
        let step = (code.end - code.start).div_ceil(PLACES).max(PLACE);
        for at in (code.start..code.end).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let mut bytes = vec![0; usize::try_from(PLACE.min(code.end - at)).unwrap_or(0)];
            file.read_exact_at(&mut bytes, at)?;
            let all = bytes.chunks(EVERY).filter_map(|chunk| chunk.first_chunk::<PIECE>());
            pieces.extend(all.filter(|piece| is_telling(piece)).map(hash));
        }
        if pieces.len() < LEAST_PIECES {
            return Ok(());
        }
        let program = self.names.len();
        self.names.push((name, least));
        self.counts.push(pieces.len());
        for (n, piece) in pieces.into_iter().enumerate() {
            let (word, bit) = in_filter(piece);
            self.filter[word] |= bit;
            self.places.entry(piece).or_default().push((program, n));
        }
        Ok(())
    }

    /// Removes the pieces that the program's code shares with that of the others, e.g. of libraries linked
    /// into all of them.
    pub fn forget_common(&mut self, name: &str, file: &File, code: Range<u64>) -> io::Result<()> {
        let own = self.names.iter().position(|(other, _)| other == name);
        let mut common = HashSet::new();
        roll(file, code, |hash| {
            if let Some(of) = self.of(hash)
                && of.iter().any(|(program, _)| Some(*program) != own)
            {
                common.insert(hash);
            }
        })?;
        for (program, _) in common.iter().filter_map(|hash| self.places.remove(hash)).flatten() {
            self.counts[program] -= 1;
        }
        Ok(())
    }

    /// Returns the program that the file is a copy of, if any.
    pub fn find(&self, file: &File) -> io::Result<Option<&str>> {
        let found = self.found(file)?;
        let share = |n: usize| found[n] as f64 / self.counts[n].max(LEAST_PIECES) as f64;
        let copied = (0..found.len()).filter(|n| share(*n) >= self.names[*n].1);
        Ok(copied.max_by(|a, b| share(*a).total_cmp(&share(*b))).map(|n| self.names[n].0.as_str()))
    }

    /// Returns whether the file could be a copy of one of these programs, including what
    /// [`Self::forget_common`] removes.
    pub fn resembles(&self, file: &File, is_one: impl Fn(&str) -> bool) -> io::Result<bool> {
        let found = self.found(file)?;
        let enough = |least: f64| least * LEAST_PIECES as f64;
        let like =
            |((name, least), found): (&(String, f64), usize)| is_one(name) && found as f64 >= enough(*least);
        Ok(self.names.iter().zip(found).any(like))
    }

    /// Counts the pieces of each program in the file.
    fn found(&self, file: &File) -> io::Result<Vec<usize>> {
        let mut found: Vec<HashSet<usize>> = vec![HashSet::new(); self.names.len()];
        roll(file, 0..MOST, |hash| {
            for (program, n) in self.of(hash).into_iter().flatten() {
                found[*program].insert(*n);
            }
        })?;
        Ok(found.iter().map(HashSet::len).collect())
    }

    fn of(&self, hash: u64) -> Option<&Vec<(usize, usize)>> {
        let (word, bit) = in_filter(hash);
        if self.filter[word] & bit == 0 { None } else { self.places.get(&hash) }
    }
}

/// Calls `give` with the hash of every piece in this part of the file, at every offset. Before its beginning
/// there are zeros.
fn roll(file: &File, part: Range<u64>, mut give: impl FnMut(u64)) -> io::Result<()> {
    let (mut at, mut rolling) = (part.start, 0u64);
    // The piece before the bytes read comes first.
    let mut buffer = vec![0; PIECE + CHUNK];
    while at < part.end {
        let n = file.read_at(&mut buffer[PIECE..], at)?;
        if n == 0 {
            break;
        }
        for (leaving, entering) in buffer.iter().zip(&buffer[PIECE..PIECE + n]) {
            rolling = rolling
                .wrapping_mul(BASE)
                .wrapping_add(u64::from(*entering))
                .wrapping_sub(LEAVES.wrapping_mul(u64::from(*leaving)));
            give(rolling);
        }
        buffer.copy_within(n..n + PIECE, 0);
        at += n as u64;
    }
    Ok(())
}

fn hash(piece: &[u8; PIECE]) -> u64 {
    piece.iter().fold(0, |hash, byte| hash.wrapping_mul(BASE).wrapping_add(u64::from(*byte)))
}

fn in_filter(hash: u64) -> (usize, u64) {
    // Every byte of the piece affects the upper bits of the product.
    let bit = usize::try_from(hash >> 44).unwrap_or(0);
    (bit / 64, 1 << (bit % 64))
}

fn is_telling(piece: &[u8; PIECE]) -> bool {
    let mut seen = [false; 256];
    let fresh = piece.iter().filter(|byte| !std::mem::replace(&mut seen[usize::from(**byte)], true));
    fresh.count() >= LEAST_VARIETY
}
