//! Output for people at a terminal: colours, progress, errors.

#[macro_use]
mod output;
mod progress;
mod table;
pub mod terminal;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use netlab::{Error, Kind, printable::printable, yaml::Problems};

pub use output::{all_written, lost, print, print_format, tell_format, written};
pub use progress::Progress;
pub use table::table;

/// Reports an error on standard error, with its causes and its hint, and returns its exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let known = error.downcast_ref::<Error>();
    let mut err = std::io::stderr().lock();
    // If standard error itself cannot be written, nothing sensible is left to do.
    if let Some(problems) = Problems::of(error.as_ref()) {
        let _ = writeln!(
            err,
            "{}\n\n{} {}",
            problems.render(colour(&std::io::stderr())),
            paint("31;1", "error:"),
            printable(&error.to_string())
        );
    } else {
        let _ = writeln!(err, "{} {}", paint("31;1", "error:"), printable(&format!("{error:#}")));
    }
    if let Some(hint) = known.and_then(|e| e.hint.as_ref()) {
        let _ = writeln!(err, "{} {}", paint("36", "hint:"), printable(hint));
    }
    ExitCode::from(known.map_or(Kind::Lab, |e| e.kind).exit_code())
}

/// Shows the answer to the arguments alone: help, the version, or what is wrong with them.
pub fn answer(answer: &clap::Error) -> ExitCode {
    let shown = answer.print().and_then(|()| std::io::stdout().flush());
    if answer.use_stderr() {
        return ExitCode::from(Kind::Usage.exit_code());
    }
    match written(shown) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Returns `text` in an SGR style if standard error is a terminal that wants colour, else unchanged.
pub fn paint(style: &str, text: &str) -> String {
    if colour(&std::io::stderr()) { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Returns whether to colour output to `stream`: only on a terminal, and not if `NO_COLOR` is set
/// (<https://no-color.org>).
pub fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
