//! Numbers of tracepoints, from a tracefs that is mounted nowhere.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::read,
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// A tracefs of our own: it vanishes with the descriptor, and no path ever leads to it.
#[derive(Debug)]
pub struct Tracefs(OwnedFd);

impl Tracefs {
    /// Makes one (Linux 5.2, `CAP_SYS_ADMIN`).
    ///
    /// # Errors
    ///
    /// EPERM without the capability, ENODEV if the kernel has no tracefs.
    pub fn open() -> io::Result<Self> {
        let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
        let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        Ok(Self(mount))
    }

    /// The number that `perf_event_open(2)` knows a tracepoint by.
    ///
    /// # Errors
    ///
    /// ENOENT if this kernel has no such tracepoint.
    pub fn id(&self, category: &str, name: &str) -> io::Result<u64> {
        let path = format!("events/{category}/{name}/id");
        let file = openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = [0; 24];
        let len = read(&file, &mut text)?;
        let text = text.get(..len).unwrap_or_default().trim_ascii();
        std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| io::Error::other("tracepoint id is not a number"))
    }
}
