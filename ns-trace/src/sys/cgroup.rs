//! Paths of cgroups from their ids.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
};

use super::mounts;

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
    let mounts = mounts::all().ok()?;
    mounts.into_iter().find(|mount| mount.kind == "cgroup2").map(|mount| mount.place)
}
