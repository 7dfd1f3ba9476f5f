//! File systems that are mounted nowhere: no path ever leads to them, and closing one ends it.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::{Errno, read},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// More than any file that is read here holds.
const LONGEST: usize = 4096;

/// One such file system, read-only.
#[derive(Debug)]
pub struct Detached(OwnedFd);

impl Detached {
    /// Makes one of the type `kind` (Linux 5.2, `CAP_SYS_ADMIN`).
    ///
    /// # Errors
    ///
    /// EPERM without the capability, ENODEV if the kernel has no such file system.
    pub fn open(kind: &str) -> io::Result<Self> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
        Ok(Self(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?))
    }

    /// The text of a small file, without the white space around it.
    ///
    /// # Errors
    ///
    /// ENOENT if there is none.
    pub fn read(&self, path: &str) -> io::Result<String> {
        let file = openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = vec![0; LONGEST];
        let len = loop {
            match read(&file, &mut text) {
                Err(Errno::INTR) => {}
                result => break result?,
            }
        };
        text.truncate(len);
        let text = String::from_utf8(text).map_err(io::Error::other)?;
        Ok(text.trim().to_owned())
    }
}
