//! Paths of cgroups from their ids.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
};

use super::mounts::{self, Mount};

/// `FILEID_KERNFS` of include/linux/exportfs.h: a file handle that is a kernfs id.
const KERNFS_HANDLE: i32 = 0xfe;

/// `struct file_handle` with room for a kernfs id.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: [u8; 8],
}

/// A mounted cgroup hierarchy.
#[derive(Debug)]
pub struct Hierarchy {
    root: OwnedFd,
    path: PathBuf,
}

impl Hierarchy {
    /// Opens the hierarchy that is mounted at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let root = OwnedFd::from(fs::File::open(&path)?);
        Ok(Self { root, path })
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

/// A hierarchy of version 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Legacy {
    /// The controller by which it is known: it may have others besides.
    pub controller: &'static str,
    /// Where it is mounted.
    pub place: PathBuf,
}

/// The controllers that are looked for, best first: those in which every runtime puts its containers.
const CONTROLLERS: [&str; 7] = ["pids", "devices", "memory", "freezer", "cpu", "blkio", "cpuset"];

/// The hierarchy of version 1 that tells of containers where the unified one does not; `None` if
/// none is mounted.
#[must_use]
pub fn legacy() -> Option<Legacy> {
    pick(&mounts::all().ok()?)
}

fn pick(mounts: &[Mount]) -> Option<Legacy> {
    CONTROLLERS.into_iter().find_map(|controller| {
        let is_it = |mount: &&Mount| {
            mount.kind == "cgroup" && mount.options.split(',').any(|option| option == controller)
        };
        let place = mounts.iter().find(is_it)?.place.clone();
        Some(Legacy { controller, place })
    })
}

/// Where the unified hierarchy is mounted.
#[must_use]
pub fn mount_point() -> Option<PathBuf> {
    let mounts = mounts::all().ok()?;
    mounts.into_iter().find(|mount| mount.kind == "cgroup2").map(|mount| mount.place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_controller_of_version_1_is_taken() {
        let mount = |kind: &str, place: &str, options: &str| Mount {
            kind: kind.to_owned(),
            root: "/".to_owned(),
            device: 0,
            place: place.into(),
            options: options.to_owned(),
        };
        let unified = mount("cgroup2", "/sys/fs/cgroup/unified", "rw");
        let systemd = mount("cgroup", "/sys/fs/cgroup/systemd", "rw,xattr,name=systemd");
        let memory = mount("cgroup", "/sys/fs/cgroup/memory", "rw,memory");
        let cpu = mount("cgroup", "/sys/fs/cgroup/cpu,cpuacct", "rw,cpu,cpuacct");
        let pids = mount("cgroup", "/sys/fs/cgroup/pids", "rw,pids");
        let picked = |mounts: &[&Mount]| {
            let mounts: Vec<_> = mounts.iter().copied().cloned().collect();
            pick(&mounts).map(|legacy| (legacy.controller, legacy.place))
        };
        assert_eq!(picked(&[&unified, &systemd]), None, "no controller");
        assert_eq!(picked(&[&unified, &cpu]), Some(("cpu", cpu.place.clone())));
        assert_eq!(picked(&[&cpu, &memory, &pids]), Some(("pids", pids.place.clone())));
    }
}
