//! Command lines as people type them: whether one needs a shell, what to execute, and for which lab it is.

use crate::topology;

/// Commands that are about a lab.
const OF_A_LAB: [&str; 8] = ["exec", "exercise", "kill", "link", "host", "logs", "up", "down"];

/// Adds `--lab` to a `netlab` command, unless the lab is the default one.
pub fn in_lab(command: &str, lab: &str) -> String {
    let mut starts = OF_A_LAB.iter().map(|verb| format!("netlab {verb}"));
    match starts.find_map(|start| Some((command.strip_prefix(&start)?, start))) {
        Some((rest, start)) if lab != topology::DEFAULT_LAB => format!("{start} --lab {lab}{rest}"),
        _ => command.to_owned(),
    }
}

/// Returns the `netlab exec` command that runs a command line on a host.
pub fn on_host(host: &str, line: &str) -> String {
    if is_plain(line) {
        format!("netlab exec {host} -- {line}")
    } else {
        format!("netlab exec {host} -- sh -c {}", quoted(line))
    }
}

/// Formats a text as one word for a shell, quoted if necessary.
pub fn word(text: &str) -> String {
    if is_plain(text) && !text.contains(char::is_whitespace) { text.to_owned() } else { quoted(text) }
}

/// Quotes a text for a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns the arguments to execute for a command line.
///
/// A shell is used only if the line needs one, so that the process table shows the program alone. If it needs
/// one for quotes, variables or redirections but runs a single program, that program replaces the shell:
/// Debian's shell would stay and wait for it.
pub fn argv(line: &str) -> Vec<String> {
    if is_plain(line) {
        return line.split_whitespace().map(str::to_owned).collect();
    }
    let script = if is_one_program(line) { format!("exec {line}") } else { line.to_owned() };
    ["sh", "-c", &script].map(str::to_owned).to_vec()
}

/// Returns whether splitting at blanks gives the same words as a shell.
fn is_plain(line: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || " \t-_./:,+@%^=".contains(c);
    is_one_program(line) && line.chars().all(plain)
}

/// Returns whether the line runs one program and nothing else: no list, pipeline, assignment or shell
/// keyword.
fn is_one_program(line: &str) -> bool {
    // Built-in commands (POSIX.1-2017, 2.14, and utilities that need not be programs).
    const BUILT_IN: [&str; 10] = ["!", ".", "cd", "eval", "exec", "exit", "export", "set", "trap", "ulimit"];
    let first = line.split_whitespace().next().unwrap_or_default();
    let several = line.replace(">&", ">").contains([';', '&', '|', '(', '{', '`', '\n']);
    !(several || first.contains('=') || BUILT_IN.contains(&first))
}

#[cfg(test)]
mod tests {
    use super::{argv, in_lab, on_host, word};

    #[test]
    fn a_command_for_a_lab_or_a_host_can_be_pasted() {
        assert_eq!(in_lab("netlab kill server", "mine"), "netlab kill --lab mine server");
        assert_eq!(in_lab("netlab kill server", crate::topology::DEFAULT_LAB), "netlab kill server");
        assert_eq!(on_host("server", "tcpechod 8002"), "netlab exec server -- tcpechod 8002");
        assert_eq!(
            on_host("client1", "echo 'a' > b; cat <c"),
            r"netlab exec client1 -- sh -c 'echo '\''a'\'' > b; cat <c'"
        );
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("--lab"), "--lab");
    }

    #[test]
    fn a_plain_line_takes_no_shell() {
        assert_eq!(argv("tcpecho server 8002"), ["tcpecho", "server", "8002"]);
        assert_eq!(argv("dd if=/dev/zero bs=1k"), ["dd", "if=/dev/zero", "bs=1k"]);
    }

    #[test]
    fn one_program_takes_the_shells_place() {
        for line in ["tcpechod 8007 >/tmp/log 2>&1", "./server 'a b'", "echo $HOME"] {
            assert_eq!(argv(line), ["sh", "-c", &format!("exec {line}")]);
        }
        for line in [
            "a; b",
            "a && b",
            "a | b",
            "A=1 b",
            "exec a",
            "(a)",
            "a\nb",
            "a &",
            "cd x",
            "ulimit -n 9",
            "$(a)",
        ] {
            assert_eq!(argv(line), ["sh", "-c", line]);
        }
    }
}
