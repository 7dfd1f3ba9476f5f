//! The clocks that events carry.

use std::{fs, sync::OnceLock};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the machine's `CLOCK_BOOTTIME`, the clock of every `boot_ns`: in a time namespace
/// that is another than one's own.
#[must_use]
pub fn boot_ns() -> u64 {
    boot().unsigned_abs()
}

/// What to add to a boot-clock reading to get nanoseconds since 1970-01-01 UTC.
#[must_use]
pub fn realtime_offset() -> i64 {
    // The second reading on both sides halves the error of being preempted in between.
    let before = boot();
    let now = read(ClockId::Realtime);
    let after = boot();
    now - (before + (after - before) / 2)
}

/// Nanoseconds since 1970-01-01 UTC.
#[must_use]
pub fn real_ns() -> i64 {
    read(ClockId::Realtime)
}

fn boot() -> i64 {
    static OFFSET: OnceLock<i64> = OnceLock::new();
    read(ClockId::Boottime) - *OFFSET.get_or_init(offset)
}

/// How much later it is in the own time namespace (`time_namespaces`(7)).
fn offset() -> i64 {
    // Without the file there are no time namespaces.
    let text = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    of_boot_time(&text).unwrap_or_default()
}

/// Nanoseconds in the line of the boot clock; proc(5).
fn of_boot_time(text: &str) -> Option<i64> {
    let mut lines = text.lines().map(str::split_whitespace);
    let mut words = lines.find_map(|mut words| (words.next()? == "boottime").then_some(words))?;
    let mut number = || words.next()?.parse::<i64>().ok();
    Some(number()? * 1_000_000_000 + number()?)
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_the_boot_clock_is_read() {
        let text = "monotonic           0         0\nboottime        86400       250\n";
        assert_eq!(of_boot_time(text), Some(86_400_000_000_250));
        assert_eq!(of_boot_time("boottime  -1  0\n"), Some(-1_000_000_000));
        assert_eq!(of_boot_time(""), None);
    }
}
