//! Times as in captures and tables: nanoseconds since the epoch.

use std::time::{Duration, SystemTime};

/// Nanoseconds since the epoch, on the clock of the machine that the lab runs on.
pub type Nanos = u64;

/// Returns the current time.
pub fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Converts to whole milliseconds; saturates if it does not fit.
pub fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
