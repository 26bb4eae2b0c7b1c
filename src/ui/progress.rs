//! Progress of long work on standard error: a bar on a terminal, one line per step elsewhere, nothing if it is
//! quick. Steps that matter afterwards are shown in any case.

use std::{
    io::IsTerminal,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use netlab::{printable::printable, runtime::Step};

/// Work that is done sooner than this shows no progress.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows the steps of one piece of work.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    last: Mutex<String>,
}

impl Progress {
    /// Creates a display that shows nothing before the first step.
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        Self { bar, started: Instant::now(), last: Mutex::default() }
    }

    /// Shows a step.
    pub fn step(&self, step: Step) {
        if step.lasting {
            self.bar.suspend(|| eprintln!("  {}", printable(&step.what)));
            return;
        }
        if self.started.elapsed() < PATIENCE && step.total.is_none() {
            return;
        }
        if std::io::stderr().is_terminal() {
            self.draw(step);
        } else if let Ok(mut last) = self.last.lock()
            && *last != step.what
        {
            eprintln!("  {}", printable(&step.what));
            *last = step.what;
        }
    }

    fn draw(&self, step: Step) {
        let template = match step.total {
            Some(total) => {
                self.bar.set_length(total);
                self.bar.set_position(step.done);
                "  {bar:24} {pos}/{len} {wide_msg}"
            }
            None => "  {spinner} {wide_msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(step.what);
        self.bar.enable_steady_tick(Duration::from_millis(120));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
