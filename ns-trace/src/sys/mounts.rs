//! The mounts that a process sees, from `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`).

use std::{ffi::OsString, fs, io, os::unix::ffi::OsStringExt as _, path::PathBuf};

use rustix::fs::makedev;

/// One mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// The type of the file system: `proc`, `cgroup2`.
    pub kind: String,
    /// What of the file system is mounted: `/`, a directory in it, or `net:[4026531840]`.
    pub root: String,
    /// The device number of the file system, as stat(2) gives it.
    pub device: u64,
    /// Where it is, seen from the root of that process.
    pub place: PathBuf,
    /// The options of the file system itself, separated by commas; for cgroup v1 its controllers.
    pub options: String,
}

/// All mounts, in the order of the kernel.
///
/// # Errors
///
/// If /proc is not mounted.
pub fn all() -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read("/proc/self/mountinfo")?))
}

/// All mounts that the process or thread `pid` sees, in the order of the kernel.
///
/// # Errors
///
/// EACCES without the right to trace it; ENOENT, ESRCH or EINVAL if it is gone.
pub fn of(pid: u32) -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read(format!("/proc/{pid}/mountinfo"))?))
}

fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

/// `36 35 98:0 /root /place rw,noatime shared:1 - ext3 /dev/sda rw,errors=continue`
fn mount(line: &[u8]) -> Option<Mount> {
    // The optional fields before the separator vary in number.
    let at = line.windows(3).position(|window| window == b" - ")?;
    let mut after = line.get(at + 3..)?.split(|byte| *byte == b' ');
    let plain = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    let kind = plain(after.next()?);
    let options = after.nth(1).map(plain).unwrap_or_default();
    let mut before = line.split(|byte| *byte == b' ').skip(2);
    let (major, minor) = std::str::from_utf8(before.next()?).ok()?.split_once(':')?;
    let device = makedev(major.parse().ok()?, minor.parse().ok()?);
    let root = plain(before.next()?);
    let place = OsString::from_vec(unescape(before.next()?)).into();
    Some(Mount { kind, root, device, place, options })
}

/// Undoes the `\040` escapes of mountinfo.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = tail.get(..3).filter(|_| byte == b'\\');
        let octal = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(value) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(value);
            rest = tail.get(3..).unwrap_or_default();
        } else {
            plain.push(byte);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_escapes_are_undone() {
        assert_eq!(unescape(b"/a\\040b\\134c\\"), b"/a b\\c\\");
    }

    #[test]
    fn lines_with_and_without_optional_fields_are_read() {
        let text = b"36 35 0:9 / /a\\040b rw shared:1 master:2 - cgroup cgroup rw,cpu\n\
                     37 35 0:9 / /c rw - proc proc rw\n\
                     nonsense\n";
        let mount = |kind: &str, place: &str, options: &str| Mount {
            kind: kind.to_owned(),
            root: "/".to_owned(),
            device: makedev(0, 9),
            place: place.into(),
            options: options.to_owned(),
        };
        assert_eq!(parse(text), [mount("cgroup", "/a b", "rw,cpu"), mount("proc", "/c", "rw")]);
    }
}
