//! Paths of cgroups from their ids.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::PathBuf,
};

/// `FILEID_KERNFS` of include/linux/exportfs.h: a file handle that is a kernfs id.
const KERNFS_HANDLE: i32 = 0xfe;

/// `struct file_handle` with room for a kernfs id.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: [u8; 8],
}

/// The unified cgroup hierarchy.
#[derive(Debug)]
pub struct Hierarchy {
    root: OwnedFd,
    path: PathBuf,
}

impl Hierarchy {
    /// Opens the hierarchy where it is mounted; `None` if it is not.
    ///
    /// # Errors
    ///
    /// If it is mounted but cannot be opened.
    pub fn open() -> io::Result<Option<Self>> {
        let Some(path) = mount_point() else { return Ok(None) };
        let root = OwnedFd::from(fs::File::open(&path)?);
        Ok(Some(Self { root, path }))
    }

    /// The path of the cgroup with this id, from the root of the hierarchy; `None` if it is gone or
    /// outside the tracer's own cgroup namespace.
    #[must_use]
    pub fn path(&self, id: u64) -> Option<Vec<u8>> {
        let mut handle = Handle { bytes: 8, kind: KERNFS_HANDLE, id: id.to_ne_bytes() };
        // SAFETY: the handle has the layout of struct file_handle and outlives the call.
        let fd = unsafe {
            libc::open_by_handle_at(
                self.root.as_raw_fd(),
                (&raw mut handle).cast(),
                libc::O_PATH | libc::O_CLOEXEC,
            )
        };
        if fd < 0 {
            return None;
        }
        // SAFETY: the call just made this descriptor; nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
        let below = path.strip_prefix(&self.path).ok()?;
        let mut text = b"/".to_vec();
        text.extend_from_slice(below.as_os_str().as_bytes());
        Some(text)
    }
}

/// Where the unified hierarchy is mounted.
#[must_use]
pub fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        // Field 5 is the mount point; after the separator comes the file system type (proc(5)).
        let at = line.windows(3).position(|window| window == b" - ")?;
        if !line.get(at + 3..)?.starts_with(b"cgroup2 ") {
            return None;
        }
        let path = line.split(|byte| *byte == b' ').nth(4)?;
        Some(PathBuf::from(std::ffi::OsString::from_vec(unescape(path))))
    })
}

/// Undoes the `\040` escapes of mountinfo.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(value) if byte == b'\\' => {
                plain.push(value);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                plain.push(byte);
                rest = tail;
            }
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
}
