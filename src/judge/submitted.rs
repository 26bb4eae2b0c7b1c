//! Tells whether a process runs what a student has submitted or built from it, rather than a program of the system or
//! a copy of one.

use std::path::Path;

use crate::observer::{ProcessRow, is_of_the_system};

/// A kind of program that runs the code in a file.
struct Interpreter {
    /// The beginnings of their names.
    names: &'static [&'static str],
    /// Options that make it run something other than a file: code, or one of its own modules.
    instead: &'static [&'static str],
    /// Options that take the next argument as their value.
    with_value: &'static [&'static str],
    /// Options that are followed by the file.
    file: &'static [&'static str],
}

const INTERPRETERS: [Interpreter; 10] = [
    Interpreter {
        names: &["python", "pypy"],
        instead: &["-c", "-m"],
        with_value: &["-W", "-X", "--check-hash-based-pycs"],
        file: &[],
    },
    Interpreter { names: &["perl"], instead: &["-e", "-E"], with_value: &["-I"], file: &[] },
    Interpreter { names: &["ruby"], instead: &["-e"], with_value: &["-I", "-r", "-C"], file: &[] },
    Interpreter {
        names: &["node", "bun", "deno"],
        instead: &["-e", "--eval", "-p", "--print"],
        with_value: &["-r", "--require", "--import"],
        file: &["run"],
    },
    Interpreter { names: &["php"], instead: &["-r", "-S"], with_value: &["-d", "-c"], file: &["-f"] },
    Interpreter { names: &["lua"], instead: &["-e"], with_value: &["-l"], file: &[] },
    Interpreter {
        names: &["java"],
        instead: &["-m", "--module"],
        with_value: &["--add-modules", "--add-opens", "--add-exports", "-p", "--module-path"],
        file: &["-jar", "-cp", "-classpath", "--class-path"],
    },
    Interpreter {
        names: &["gawk", "mawk", "awk"],
        instead: &["-e", "--source"],
        with_value: &["-F", "-v"],
        file: &["-f", "--file"],
    },
    Interpreter {
        names: &["sh", "bash", "dash", "zsh", "ksh"],
        instead: &["-c"],
        with_value: &["-o", "-O"],
        file: &[],
    },
    Interpreter {
        names: &[
            "tclsh", "wish", "expect", "guile", "racket", "ocamlrun", "mono", "dotnet", "Rscript", "julia",
        ],
        instead: &["-c", "-e", "--eval"],
        with_value: &[],
        file: &[],
    },
];

/// The programs that did a program's work, other than the student's own.
#[derive(Clone, Debug, Default)]
pub struct Borrowed {
    /// The reference program that one of its processes ran.
    pub reference_program: Option<String>,
    /// The program that listened, if it is not from the workspace.
    pub listener: Option<String>,
    /// A program that held a connection which no program of the student's held.
    pub servant: Option<String>,
}

impl Borrowed {
    /// The name of the borrowed program, e.g. `socat`.
    pub fn name(&self) -> Option<String> {
        let path = self.reference_program.as_ref().or(self.listener.as_ref()).or(self.servant.as_ref())?;
        Some(Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned())
    }
}

/// Returns the program that the process runs, if it is the system's or netlab's and not the student's own.
pub fn not_their_own(process: &ProcessRow) -> Option<String> {
    let is_systems = is_of_the_system(&process.program);
    let origin = match process.copy_of.as_str() {
        "" if is_systems => process.program.as_str(),
        "" => return None,
        origin => origin,
    };
    (!runs_their_file(origin, &process.argv)).then(|| origin.to_owned())
}

/// Whether a program with that name and these arguments runs a file that is not part of the system.
fn runs_their_file(program: &str, argv: &[String]) -> bool {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let is_one = |interpreter: &&Interpreter| interpreter.names.iter().any(|known| name.starts_with(known));
    let Some(interpreter) = INTERPRETERS.iter().find(is_one) else { return false };
    match interpreter.file(argv) {
        Some(file) => file.split(':').any(|file| !file.is_empty() && !is_of_the_system(file)),
        None => false,
    }
}

impl Interpreter {
    /// The file that it runs, as written in its arguments.
    fn file<'a>(&self, argv: &'a [String]) -> Option<&'a str> {
        let mut arguments = argv.iter().skip(1).map(String::as_str);
        while let Some(argument) = arguments.next() {
            if self.file.contains(&argument) {
                return arguments.next();
            }
            if !argument.starts_with('-') {
                return Some(argument);
            }
            if self.instead.iter().any(|option| is_option(argument, option)) {
                return None;
            }
            if self.with_value.contains(&argument) {
                arguments.next();
            }
        }
        None
    }
}

/// Whether an argument is that option or contains it among several letters, as `-uc` contains `-c`.
fn is_option(argument: &str, option: &str) -> bool {
    let letters = argument.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
    match (letters, option.strip_prefix('-')) {
        // What follows a letter may be its value: `-Wc` warns of c.
        (Some(letters), Some(letter)) if letter.len() == 1 && letters.len() <= 3 => letters.contains(letter),
        _ => argument == option || argument.starts_with(&format!("{option}=")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::render::tests::process;

    fn row(program: &str, copy_of: &str, line: &str) -> ProcessRow {
        let argv = line.split_whitespace().map(Into::into).collect();
        ProcessRow { program: program.into(), copy_of: copy_of.into(), argv, ..process(8, 7, "x") }
    }

    #[test]
    fn what_was_not_handed_in_is_found() {
        for (program, copy_of, line, found) in [
            ("/usr/bin/socat", "", "socat EXEC:/lab/x", "/usr/bin/socat"),
            ("/usr/bin/socat", "", "/lab/x /lab/x", "/usr/bin/socat"),
            ("/lab/server", "/usr/bin/socat", "/lab/server TCP-LISTEN:8002", "/usr/bin/socat"),
            ("/tmp/server (deleted)", "tcpechod", "server 8002", "tcpechod"),
            ("/usr/bin/python3.11", "", "python3 -m http.server --directory /lab", "/usr/bin/python3.11"),
            ("/usr/bin/python3.11", "", "python3 -uc /lab/x.py", "/usr/bin/python3.11"),
            ("/lab/python", "/usr/bin/python3.11", "/lab/python -m http.server", "/usr/bin/python3.11"),
            ("/usr/bin/python3.11", "", "python3 /usr/lib/python3/a.py", "/usr/bin/python3.11"),
            ("/usr/bin/perl", "", "perl -MIO::Socket -e while(1){} /lab/x", "/usr/bin/perl"),
            ("/usr/bin/busybox", "", "busybox nc -lk -e /lab/x", "/usr/bin/busybox"),
            ("/usr/bin/php8.2", "", "php -S 0.0.0.0:8002 /lab/x.php", "/usr/bin/php8.2"),
            (
                "/usr/lib/jvm/java-17/bin/java",
                "",
                "java -cp /usr/share/java/a.jar Main",
                "/usr/lib/jvm/java-17/bin/java",
            ),
        ] {
            assert_eq!(not_their_own(&row(program, copy_of, line)).as_deref(), Some(found), "{line}");
        }
    }

    #[test]
    fn what_was_handed_in_is_right_also_where_an_interpreter_runs_it() {
        for (program, line) in [
            ("/lab/server", "server 8002"),
            ("/tmp/server", "server 8002"),
            ("/lab/server (deleted)", "server 8002"),
            ("", "server"),
            ("/usr/bin/python3.11", "python3 -u -X dev /lab/server.py -c 8002"),
            ("/usr/bin/python3.11", "python3 server.py 8002"),
            ("/usr/bin/bash", "bash -e /lab/server.sh"),
            ("/usr/bin/node", "node --inspect /lab/server.js"),
            ("/usr/bin/gawk", "gawk -v port=8002 -f /lab/server.awk"),
            ("/usr/lib/jvm/java-17/bin/java", "java -Xmx64m -cp /lab:/usr/share/java/a.jar Server 8002"),
            ("/usr/lib/jvm/java-17/bin/java", "java -jar server.jar 8002"),
            ("/usr/lib/jvm/java-17/bin/java", "java Server 8002"),
        ] {
            assert_eq!(not_their_own(&row(program, "", line)), None, "{line}");
        }
        let copied = row("/lab/venv/python3", "/usr/bin/python3.11", "/lab/venv/python3 /lab/server.py");
        assert_eq!(not_their_own(&copied), None);
    }
}
