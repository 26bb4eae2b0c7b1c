//! Recognises processes that run a copy of one of netlab's reference programs, or of a program of the system,
//! by comparing the executable's code.

mod elf;
mod pieces;

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use self::{elf::Elf, pieces::Pieces};
use crate::{observer::rows::is_of_the_system, programs::REFERENCE};

/// The system's folders of programs; the hosts' are the same as the observer's.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
/// Dynamic linkers, which start every program that is not linked statically, and can be told to start any.
const LINKERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/// The share of a program's code that makes a file a copy of it. Some may have been changed to hide its
/// origin.
const MOST_OF_IT: f64 = 0.5;
/// The same if libraries, which are also part of others, are linked into the program.
const NEARLY_ALL: f64 = 0.9;

/// Parts of the names of functions that a server needs.
const LISTENS: [&str; 2] = ["listen", "accept"];

/// Maximum number of files whose origin is remembered: nobody runs more of their own.
const MOST_FOUND: usize = 1000;

/// The known programs, and the origins of the files checked so far.
pub struct Programs {
    reference: Vec<PathBuf>,
    system: Vec<PathBuf>,
    /// Read when the first file is checked: most labs never need it.
    known: OnceLock<Pieces>,
    /// The same without the code that netlab's programs share with others; built when a file contains any of
    /// their code.
    distinct: OnceLock<Pieces>,
    found: Mutex<HashMap<Identity, Option<Origin>>>,
}

/// Identifies a file with its contents. The change time (ctime) cannot be set by anybody.
type Identity = (u64, u64, u64, i64, i64);

/// The program that a file is a copy of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name, e.g. `tcpechod` or `/usr/bin/socat`.
    pub name: String,
    /// Whether it is one of netlab's own programs.
    pub is_reference_program: bool,
}

impl Programs {
    /// The programs beside the running one, and the system's.
    pub fn of_this_machine() -> Self {
        let netlab = fs::read_link("/proc/self/exe").unwrap_or_default();
        let folder = netlab.parent().unwrap_or(Path::new("/"));
        Self::of(
            REFERENCE.iter().map(|name| folder.join(name)).collect(),
            FOLDERS.map(PathBuf::from).to_vec(),
        )
    }

    fn of(reference: Vec<PathBuf>, system: Vec<PathBuf>) -> Self {
        Self { reference, system, known: OnceLock::new(), distinct: OnceLock::new(), found: Mutex::default() }
    }

    /// Returns which of these programs the file is or is a copy of. `path` is its path on the host.
    pub fn origin(&self, file: &File, path: &str) -> Option<Origin> {
        if is_of_the_system(path) {
            // Nobody can have written there, so the name identifies the program.
            let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
            return REFERENCE
                .contains(&&*name)
                .then(|| Origin { name: name.into_owned(), is_reference_program: true });
        }
        let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
        let identity = (about.dev(), about.ino(), about.len(), about.ctime(), about.ctime_nsec());
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MOST_FOUND {
            found.clear();
        }
        found.entry(identity).or_insert_with(|| self.search(file)).clone()
    }

    fn search(&self, file: &File) -> Option<Origin> {
        let known = self.known.get_or_init(|| self.know());
        let is_like = known.resembles(file, |name| REFERENCE.contains(&name)).ok()?;
        let known = if is_like { self.distinct.get_or_init(|| self.distinguish(known)) } else { known };
        let name = known.find(file).ok()??;
        let is_reference_program = REFERENCE.contains(&name);
        Some(Origin { name: name.to_owned(), is_reference_program })
    }

    /// Reads the programs. One that cannot be read stays unknown.
    fn know(&self) -> Pieces {
        let mut known = Pieces::default();
        let linkers = LINKERS.iter().map(PathBuf::from);
        for path in self.system.iter().flat_map(|folder| files(folder)).chain(linkers) {
            let _ = know_of_system(&mut known, &path);
        }
        for (name, file, elf) in self.reference.iter().filter_map(|path| open(path)) {
            let _ = known.add(name, &file, elf.code, MOST_OF_IT);
        }
        known
    }

    fn distinguish(&self, known: &Pieces) -> Pieces {
        let mut known = known.clone();
        for (name, file, elf) in self.reference.iter().filter_map(|path| open(path)) {
            let _ = known.forget_common(&name, &file, elf.code);
        }
        known
    }
}

/// Returns the regular files of a folder; links are skipped, since their targets are among them or are not
/// programs.
fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path())
}

fn open(path: &Path) -> Option<(String, File, Elf)> {
    let file = File::open(path).ok()?;
    let elf = Elf::read(&file)?;
    Some((path.file_name()?.to_string_lossy().into_owned(), file, elf))
}

/// Adds a program of the system if it could replace a server: if it uses functions for listening, or may
/// contain them.
fn know_of_system(known: &mut Pieces, path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let Some(elf) = Elf::read(&file) else { return Ok(()) };
    let names = elf.names(&file).unwrap_or_default();
    let names = String::from_utf8_lossy(&names);
    let listens = LISTENS.iter().any(|word| names.contains(word));
    if !elf.is_static && !listens {
        return Ok(());
    }
    let least = if elf.is_static { NEARLY_ALL } else { MOST_OF_IT };
    known.add(path.to_string_lossy().into_owned(), &file, elf.code, least)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: usize = 40_000;
    const AT: usize = 4096;

    /// Bytes that stand in for a program's code.
    fn code(seed: u32, length: usize) -> Vec<u8> {
        let numbers = (0..u32::try_from(length).unwrap()).map(|n| n.wrapping_add(seed << 20));
        numbers.map(|n| (n.wrapping_mul(2_654_435_761) ^ n.wrapping_mul(n)).to_le_bytes()[2]).collect()
    }

    /// A statically linked program, with its code at this offset in the file.
    fn program(code: &[u8], at: usize) -> Vec<u8> {
        let mut file = vec![0; at];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[32], file[56]) = (64, 1);
        (file[64], file[68]) = (1, 5);
        file[72..80].copy_from_slice(&(at as u64).to_le_bytes());
        file[96..104].copy_from_slice(&(code.len() as u64).to_le_bytes());
        file.extend_from_slice(code);
        file
    }

    #[test]
    fn a_copy_is_known_whatever_is_around_and_inside_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        let library = code(1, CODE);
        let with_library = |seed| [code(seed, CODE), library.clone()].concat();
        let (ours, system) = (with_library(2), code(4, CODE));
        let reference = vec![
            write("tcpechod", &program(&ours, AT)),
            write("tcpecho", &program(&with_library(3), AT)),
            folder.path().join("none"),
        ];
        fs::create_dir(folder.path().join("bin")).unwrap();
        write("bin/socat", &program(&system, AT));
        write("bin/script", b"#!/bin/sh\n");
        let programs = Programs::of(reference, vec![folder.path().join("bin")]);

        let mut patched = program(&ours, AT);
        patched.chunks_mut(512).for_each(|page| *page.last_mut().unwrap() ^= 1);
        let shifted = [vec![0; 65_537], ours.clone()].concat();
        let socat = folder.path().join("bin/socat").to_string_lossy().into_owned();
        for (name, bytes, origin) in [
            ("copy", program(&ours, AT), Some("tcpechod")),
            ("shifted", program(&shifted, AT), Some("tcpechod")),
            ("appended", [program(&ours, AT), b"more".to_vec()].concat(), Some("tcpechod")),
            ("inside", [b"not even a program".to_vec(), ours.clone()].concat(), Some("tcpechod")),
            ("patched", patched, Some("tcpechod")),
            ("of the system", program(&system, 3 * AT), Some(socat.as_str())),
            ("another", program(&code(5, 3 * CODE), AT), None),
            ("with the same library", program(&with_library(6), AT), None),
            ("short", program(&code(7, 10), AT), None),
            ("empty", Vec::new(), None),
        ] {
            let path = write("handed-in", &bytes);
            let found = programs.origin(&File::open(&path).unwrap(), "/lab/server");
            assert_eq!(found.as_ref().map(|found| found.name.as_str()), origin, "{name}");
            assert_eq!(
                found.is_some_and(|found| found.is_reference_program),
                origin == Some("tcpechod"),
                "{name}"
            );
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn what_lies_with_the_system_is_what_it_is_called() {
        let programs = Programs::of(Vec::new(), Vec::new());
        let file = File::open("/proc/self/exe").unwrap();
        let found = programs.origin(&file, "/opt/netlab/bin/tcpechod").unwrap();
        assert_eq!((found.name.as_str(), found.is_reference_program), ("tcpechod", true));
        assert_eq!(programs.origin(&file, "/usr/bin/socat"), None);
    }

    #[test]
    fn programs_of_this_machine_are_read() {
        let file = File::open("/proc/self/exe").unwrap();
        let elf = Elf::read(&file).unwrap();
        assert!(elf.code.end > elf.code.start && elf.is_static);
        // Some program of every system is linked dynamically.
        let shell = File::open("/bin/sh").unwrap();
        if let Some(elf) = Elf::read(&shell).filter(|elf| !elf.is_static) {
            let names = elf.names(&shell).unwrap();
            assert!(names.windows(4).any(|part| part == b"fork"), "{}", String::from_utf8_lossy(&names));
        }
    }
}
