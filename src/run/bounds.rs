//! Limits on what one run may record. Beyond them, a run would fill the memory, take too long to examine, and prove
//! nothing.

use crate::{Error, Result};

/// Bytes of a run's capture.
pub const MOST_CAPTURED: u64 = 64 << 20;
/// Packets on the wire.
const MOST_PACKETS: u64 = 200_000;
/// TCP connections. At every packet, an exercise's wait conditions are checked against each of them.
const MOST_CONVERSATIONS: usize = 2_000;
/// Rows of the hosts' tables. A table's rows count again each time it changes.
const MOST_ROWS: usize = 200_000;

/// What a run has recorded so far.
#[derive(Debug, Default)]
pub struct Bounds {
    packets: u64,
    rows: usize,
    full: bool,
}

impl Bounds {
    /// Whether there is room for another packet, given the number of conversations so far. Fails the first time that
    /// there is none.
    pub fn packet(&mut self, conversations: usize) -> Result<bool> {
        self.packets += 1;
        if self.packets > MOST_PACKETS {
            return self.fill(&format!("more than {MOST_PACKETS} packets"));
        }
        if conversations > MOST_CONVERSATIONS {
            return self.fill(&format!("more than {MOST_CONVERSATIONS} connections"));
        }
        Ok(!self.full)
    }

    /// Whether there is room for a table with this many rows. Fails like `packet`.
    pub fn table(&mut self, rows: usize) -> Result<bool> {
        self.rows += rows;
        if self.rows > MOST_ROWS {
            return self.fill(&format!("more than {MOST_ROWS} rows of sockets and processes"));
        }
        Ok(!self.full)
    }

    fn fill(&mut self, what: &str) -> Result<bool> {
        if std::mem::replace(&mut self.full, true) {
            return Ok(false);
        }
        Err(Error::excess(format!("{what}: too much to look at"))
            .hint("this happens when a program opens connections or starts processes without end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_told_once_and_then_left_out() {
        let mut bounds = Bounds::default();
        assert!(bounds.packet(MOST_CONVERSATIONS).unwrap() && bounds.table(MOST_ROWS).unwrap());
        let error = bounds.table(1).unwrap_err();
        assert_eq!(error.message, "more than 200000 rows of sockets and processes: too much to look at");
        assert!(!bounds.table(1).unwrap() && !bounds.packet(1).unwrap());
        let error = Bounds::default().packet(MOST_CONVERSATIONS + 1).unwrap_err();
        assert!(error.message.starts_with("more than 2000 connections"), "{error}");
    }
}
