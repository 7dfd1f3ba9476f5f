//! Numbers of tracepoints, from a tracefs that is mounted nowhere.

use std::io;

use super::detached::Detached;

/// A tracefs of our own: it vanishes with the descriptor, and no path ever leads to it.
#[derive(Debug)]
pub struct Tracefs(Detached);

impl Tracefs {
    /// Makes one (Linux 5.2, `CAP_SYS_ADMIN`).
    ///
    /// # Errors
    ///
    /// EPERM without the capability, ENODEV if the kernel has no tracefs.
    pub fn open() -> io::Result<Self> {
        Detached::open("tracefs").map(Self)
    }

    /// The number that `perf_event_open(2)` knows a tracepoint by.
    ///
    /// # Errors
    ///
    /// ENOENT if this kernel has no such tracepoint.
    pub fn id(&self, category: &str, name: &str) -> io::Result<u64> {
        let text = self.0.read(&format!("events/{category}/{name}/id"))?;
        text.parse().or(Err(io::Error::other("tracepoint id is not a number")))
    }
}
