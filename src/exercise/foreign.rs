//! Whether what listens was handed in: a student's program, or one that the host has anyway.

use std::path::Path;

use crate::{observer::ProcessRow, workspace::ON_HOSTS};

/// Programs that run what is in a file, by what their names begin with.
const INTERPRETERS: [&str; 14] = [
    "sh", "bash", "dash", "busybox", "python", "pypy", "perl", "ruby", "node", "php", "lua", "tclsh", "java",
    "gawk",
];

/// Whether the process runs nothing from the workspace, neither itself nor by way of an interpreter.
pub fn is_foreign(process: &ProcessRow) -> bool {
    let is_handed_in = |path: &str| Path::new(path).starts_with(ON_HOSTS);
    let name = Path::new(&process.program).file_name().unwrap_or_default().to_string_lossy();
    let interprets = INTERPRETERS.iter().any(|interpreter| name.starts_with(interpreter));
    let runs_a_file = interprets && process.argv.iter().skip(1).any(|argument| is_handed_in(argument));
    !process.program.is_empty() && !is_handed_in(&process.program) && !runs_a_file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::render::tests::process;

    #[test]
    fn what_was_not_handed_in_is_found() {
        let foreign = |program: &str, argv: &[&str]| {
            let mut row = process(8, 7, "x");
            row.program = program.into();
            row.argv = argv.iter().map(|&argument| argument.into()).collect();
            is_foreign(&row)
        };
        assert!(foreign("/usr/bin/socat", &["socat", "EXEC:/lab/x"]));
        assert!(foreign("/usr/bin/socat", &["/lab/x", "/lab/x"]), "it may call itself what it likes");
        assert!(foreign("/usr/bin/python3.11", &["python3", "-m", "http.server"]));
        assert!(!foreign("/usr/bin/python3.11", &["python3", "-u", "/lab/server.py"]));
        assert!(!foreign("/lab/server", &["server"]));
        assert!(!foreign("", &["server"]), "nobody can tell");
    }
}
