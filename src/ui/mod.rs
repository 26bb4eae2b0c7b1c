//! What a person at a terminal reads: colours, progress, errors.

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

/// Reports an error on stderr, with its causes and its hint, and gives the exit code it stands for.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let known = error.downcast_ref::<Error>();
    let mut err = std::io::stderr().lock();
    // Nothing sensible is left to do when stderr itself cannot be written.
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

/// Shows what the arguments alone are answered with: help, the version, or what is wrong with them.
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

/// `text` in an SGR style where stderr is a terminal that wants colour, else as it is.
pub fn paint(style: &str, text: &str) -> String {
    if colour(&std::io::stderr()) { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Whether to colour what goes to `stream`: on a terminal only, and not where `NO_COLOR` is set
/// (<https://no-color.org>).
pub fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
