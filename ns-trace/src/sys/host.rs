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

/// Major and minor version of the kernel.
#[must_use]
pub fn version() -> Option<(u32, u32)> {
    parse_version(&kernel())
}

fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_the_version() {
        assert_eq!(parse_version("5.10.0-46-cloud-amd64"), Some((5, 10)));
        assert_eq!(parse_version("7.2-rc1"), Some((7, 2)));
        assert_eq!(parse_version("linux"), None);
    }
}
