//! The clocks of the kernel, in nanoseconds.

use anyhow::Result;
use nix::time::{ClockId, clock_gettime};

/// Since the boot, sleep included: the clock of events.
pub(crate) fn boot() -> Result<u64> {
    read(ClockId::CLOCK_BOOTTIME)
}

/// CPU time of this process.
pub(crate) fn cpu() -> Result<u64> {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: ClockId) -> Result<u64> {
    let time = clock_gettime(clock)?;
    Ok(u64::try_from(time.tv_sec())? * 1_000_000_000 + u64::try_from(time.tv_nsec())?)
}
