//! Printing to a reader that may stop reading (`| head`), which is a normal end and not a failure. The macros of
//! std panic there, so ours take their names.

use std::{
    fmt::Arguments,
    io::{Error, ErrorKind, Result, Write, stderr, stdout},
    sync::OnceLock,
};

macro_rules! print {
    ($($text:tt)*) => { $crate::ui::print_format(format_args!($($text)*)) };
}

macro_rules! println {
    () => { $crate::ui::print_format(format_args!("\n")) };
    ($($text:tt)*) => { $crate::ui::print_format(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { $crate::ui::tell_format(format_args!("{}\n", format_args!($($text)*))) };
}

/// Why something could not be printed, the first time.
static LOST: OnceLock<Error> = OnceLock::new();

/// Does the work of `print!` and `println!`. [`all_written`] reports failures at the end.
pub fn print_format(text: Arguments<'_>) {
    let mut out = stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) {
        lost(error);
    }
}

/// Notes output that could not be written, for [`all_written`] to report.
pub fn lost(error: Error) {
    let _ = LOST.set(error);
}

/// Does the work of `eprintln!`. If standard error itself cannot be written, nothing sensible is left to do.
pub fn tell_format(text: Arguments<'_>) {
    let _ = stderr().lock().write_fmt(text);
}

/// Prints to standard output. Returns whether the reader is still reading.
pub fn print(text: &str) -> anyhow::Result<bool> {
    written(stdout().lock().write_all(text.as_bytes()))
}

/// Fails if any output so far was lost, unless only because the reader stopped reading.
pub fn all_written() -> anyhow::Result<()> {
    match LOST.get() {
        Some(error) => written(Err(Error::new(error.kind(), error.to_string()))).map(drop),
        None => Ok(()),
    }
}

/// Returns whether everything was written: false if the reader stopped reading, which is not a failure.
pub fn written(result: Result<()>) -> anyhow::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write the output")),
    }
}
