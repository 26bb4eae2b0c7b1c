//! Printing that survives a reader who has had enough (`| head`): no failure, but the end of what is
//! read. Std's own macros panic there, so that ours take their names.

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

/// What `print!` and `println!` do. What goes wrong is told by [`all_written`] in the end.
pub fn print_format(text: Arguments<'_>) {
    let mut out = stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) {
        lost(error);
    }
}

/// Takes note of output that could not be written, for [`all_written`] to report.
pub fn lost(error: Error) {
    let _ = LOST.set(error);
}

/// What `eprintln!` does. Nothing sensible is left to do when stderr itself cannot be written.
pub fn tell_format(text: Arguments<'_>) {
    let _ = stderr().lock().write_fmt(text);
}

/// Prints to stdout, whose reader may have read enough.
pub fn print(text: &str) -> anyhow::Result<bool> {
    written(stdout().lock().write_all(text.as_bytes()))
}

/// Fails if anything printed so far was lost, but for want of a reader.
pub fn all_written() -> anyhow::Result<()> {
    match LOST.get() {
        Some(error) => written(Err(Error::new(error.kind(), error.to_string()))).map(drop),
        None => Ok(()),
    }
}

/// Whether all was written: a reader that had enough is no failure, but the end of it.
pub fn written(result: Result<()>) -> anyhow::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write the output")),
    }
}
