//! The clocks that events carry.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_BOOTTIME`, the clock of every `boot_ns`.
#[must_use]
pub fn boot_ns() -> u64 {
    read(ClockId::Boottime).unsigned_abs()
}

/// What to add to a boot-clock reading to get nanoseconds since 1970-01-01 UTC.
#[must_use]
pub fn realtime_offset() -> i64 {
    // The second reading on both sides halves the error of being preempted in between.
    let before = read(ClockId::Boottime);
    let now = read(ClockId::Realtime);
    let after = read(ClockId::Boottime);
    now - (before + (after - before) / 2)
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
