//! Programs known again by pieces of their code, wherever in a file these are.
//!
//! Of each program known some short pieces of code are kept, as hashes. A file is read once from beginning to
//! end with a hash that rolls along (Karp and Rabin, 1987), so that a piece is found at any place. What lies
//! around the code does not matter then, nor a few bytes of it that somebody has changed.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
};

/// The length of a piece in bytes: a handful of instructions.
const PIECE: usize = 32;
/// Pieces are taken at every so many bytes...
const EVERY: usize = 64;
/// ...of so many places in a program's code, as far from one another as it allows...
const PLACES: u64 = 24;
/// ...each of so many bytes.
const PLACE: u64 = 1 << 10;
/// A piece with fewer different bytes than this is padding or a table, and anybody's.
const LEAST_VARIETY: usize = 12;
/// A program with fewer pieces than this is too short to be known again.
const LEAST_PIECES: usize = 16;
/// More of a file than this, in bytes, is not looked at.
const MOST: u64 = 64 << 20;
/// What is read at a time.
const CHUNK: usize = 1 << 16;

/// The base of the rolling hash, modulo 2^64; any large odd number does.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
/// By which a byte counts that leaves the piece.
const LEAVES: u64 = {
    let (mut power, mut n) = (1u64, 0);
    while n < PIECE {
        power = power.wrapping_mul(BASE);
        n += 1;
    }
    power
};

/// Programs, by pieces of their code.
#[derive(Clone)]
pub struct Pieces {
    /// Each with the share of its pieces that makes a copy.
    names: Vec<(String, f64)>,
    /// How many pieces there are of each.
    counts: Vec<usize>,
    /// By the piece's hash: of which programs it is, and which of theirs.
    places: HashMap<u64, Vec<(usize, usize)>>,
    /// A bit for the beginning of every hash, because nearly every piece of a file is none of these.
    filter: Vec<u64>,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { names: Vec::new(), counts: Vec::new(), places: HashMap::new(), filter: vec![0; 1 << 14] }
    }
}

impl Pieces {
    /// Adds a program by the code in its file. A file is a copy of it that has at least this share of its pieces.
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

    /// Forgets what the program's code has in common with that of the other ones, as the libraries that are linked
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

    /// The program that the file is a copy of, if it is one's.
    pub fn find(&self, file: &File) -> io::Result<Option<&str>> {
        let found = self.found(file)?;
        let share = |n: usize| found[n] as f64 / self.counts[n].max(LEAST_PIECES) as f64;
        let copied = (0..found.len()).filter(|n| share(*n) >= self.names[*n].1);
        Ok(copied.max_by(|a, b| share(*a).total_cmp(&share(*b))).map(|n| self.names[n].0.as_str()))
    }

    /// Whether the file could be a copy of one of these programs, whatever of theirs is [`Self::forget_common`]'s.
    pub fn resembles(&self, file: &File, is_one: impl Fn(&str) -> bool) -> io::Result<bool> {
        let found = self.found(file)?;
        let enough = |least: f64| least * LEAST_PIECES as f64;
        let like =
            |((name, least), found): (&(String, f64), usize)| is_one(name) && found as f64 >= enough(*least);
        Ok(self.names.iter().zip(found).any(like))
    }

    /// How many pieces of each program the file holds.
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

/// Gives the hash of every piece in that part of the file, at every place. Before its beginning there are zeros.
fn roll(file: &File, part: Range<u64>, mut give: impl FnMut(u64)) -> io::Result<()> {
    let (mut at, mut rolling) = (part.start, 0u64);
    // The piece before what is read comes first.
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
    // The upper bits of such a product are the ones that every byte has a part in.
    let bit = usize::try_from(hash >> 44).unwrap_or(0);
    (bit / 64, 1 << (bit % 64))
}

fn is_telling(piece: &[u8; PIECE]) -> bool {
    let mut seen = [false; 256];
    let fresh = piece.iter().filter(|byte| !std::mem::replace(&mut seen[usize::from(**byte)], true));
    fresh.count() >= LEAST_VARIETY
}
