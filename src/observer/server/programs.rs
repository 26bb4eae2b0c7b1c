//! The programs that students are to write themselves, as netlab has them: known again where a process runs
//! a copy of one.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Their names, beside `netlab`.
const NAMES: [&str; 4] = ["processes", "tcpecho", "tcpechod", "threads"];

/// So many bytes of a program, from a quarter of its length on, tell it from every other one. `strip`
/// takes from its end and leaves them where they are, and so does whatever is appended.
const TELLING: usize = 32 << 10;

/// They are compared in pieces of this size, half of which must be the same: somebody may have changed a
/// few to hide what it is.
const PIECE: usize = 512;

/// What is known of each program: where in it, and what is there.
pub struct Programs(Vec<(u64, Vec<u8>)>);

impl Programs {
    /// Those that lie beside the running program.
    pub fn beside_netlab() -> Self {
        let netlab = fs::read_link("/proc/self/exe").unwrap_or_default();
        let folder = netlab.parent().unwrap_or(Path::new("/"));
        Self::of(NAMES.iter().map(|name| folder.join(name)))
    }

    /// Those of them that are there.
    fn of(paths: impl Iterator<Item = PathBuf>) -> Self {
        Self(paths.filter_map(|path| telling(&path).ok()).collect())
    }

    /// Whether the file is a copy of one.
    pub fn have(&self, file: &File) -> bool {
        let mut bytes = vec![0; TELLING];
        self.0.iter().any(|(at, telling)| {
            file.read_exact_at(&mut bytes, *at).is_ok() && {
                let same = bytes.chunks(PIECE).zip(telling.chunks(PIECE)).filter(|(a, b)| a == b);
                2 * same.count() >= TELLING / PIECE
            }
        })
    }
}

fn telling(path: &Path) -> io::Result<(u64, Vec<u8>)> {
    let file = File::open(path)?;
    let at = file.metadata()?.len() / 4;
    let mut bytes = vec![0; TELLING];
    file.read_exact_at(&mut bytes, at)?;
    Ok((at, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_also_when_its_end_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        let program = |seed: u32| -> Vec<u8> {
            (0..200_000u32).map(|n| (n.wrapping_mul(seed) >> 7).to_le_bytes()[0]).collect()
        };
        let (ours, theirs) = (program(2_654_435_761), program(40_503));
        let mut changed = ours.clone();
        changed.iter_mut().skip(50_000).step_by(3000).for_each(|byte| *byte ^= 1);
        let programs = Programs::of([write("ours", &ours), folder.path().join("none")].into_iter());
        for (name, bytes, is_ours) in [
            ("copy", ours.as_slice(), true),
            ("stripped", &ours[..150_000], true),
            ("appended", &[ours.as_slice(), b"more"].concat(), true),
            ("changed", &changed, true),
            ("another", &theirs, false),
            ("short", &ours[..60_000], false),
        ] {
            assert_eq!(programs.have(&File::open(write(name, bytes)).unwrap()), is_ours, "{name}");
        }
    }
}
