//! Which machine this is.

use std::fs;

use rustix::system::uname;

/// The host name.
#[must_use]
pub fn name() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

/// The kernel release, as `uname -r` prints it.
#[must_use]
pub fn kernel() -> String {
    uname().release().to_string_lossy().into_owned()
}

/// The processor architecture, as `uname -m` prints it.
#[must_use]
pub fn machine() -> String {
    uname().machine().to_string_lossy().into_owned()
}

/// The id of this boot, empty if /proc is not mounted.
#[must_use]
pub fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}
