//! Times as captures and tables have them: nanoseconds since the epoch.

use std::time::{Duration, SystemTime};

/// Nanoseconds since the epoch, on the clock of the machine that the lab runs on.
pub type Nanos = u64;

/// The current time.
pub fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole milliseconds; a longer time than fits is the longest that does.
pub fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
