//! A process whose namespaces and more are to be ours.

use std::{fs, io, os::fd::OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{fstat, fstatfs},
};
use serde::Serialize;

use super::{Trouble, reason};
use crate::sys::file;

/// `PID_FS_MAGIC` of include/uapi/linux/magic.h.
const PIDFS: u64 = 0x5049_4446;

/// A process.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Target {
    /// Its number.
    pub pid: u32,
    /// Its inode in pidfs, which is never given out again (Linux 6.9); null on older kernels.
    #[serde(rename = "pidfs_inode")]
    pub inode: Option<u64>,
}

impl Target {
    /// Under which name its pidfd is kept.
    pub(super) const KEY: &str = "target";

    /// Looks at a process; an inode that is given must be its.
    ///
    /// # Errors
    ///
    /// If there is no such process.
    pub fn find(pid: u32, inode: Option<u64>) -> Result<Self, Trouble> {
        let process = file::process(pid).map_err(|error| gone(pid, &error))?;
        let found = number(&process);
        let target = Self { pid, inode: found };
        match inode {
            Some(wanted) if found.is_some_and(|found| found != wanted) => Err(target.is_another()),
            Some(_) if found.is_none() => Err(Trouble::new(format!(
                "cannot tell whether process {pid} is the one with that inode: the kernel numbers \
                 processes from Linux 6.9 on"
            ))),
            _ => Ok(target),
        }
    }

    /// Opens the process, which must be the same as before.
    pub(super) fn open(&self) -> Result<OwnedFd, Trouble> {
        let process = file::process(self.pid).map_err(|error| gone(self.pid, &error))?;
        if number(&process) == self.inode { Ok(process) } else { Err(self.is_another()) }
    }

    /// Checks that files of /proc that were opened after the process are its own.
    pub(super) fn expect_alive(&self, process: &OwnedFd) -> Result<(), Trouble> {
        let mut ended = [PollFd::new(process, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut ended, Some(&now)) {
            Ok(0) => Ok(()),
            _ => Err(Trouble::new(format!("process {} has ended meanwhile", self.pid))),
        }
    }

    fn is_another(&self) -> Trouble {
        Trouble::new(format!(
            "process {} is another one by now: its number was given out again",
            self.pid
        ))
    }

    /// A file of it in /proc.
    ///
    /// # Errors
    ///
    /// If it is gone or may not be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Trouble> {
        let process = self.open()?;
        let path = format!("/proc/{}/{name}", self.pid);
        let text = fs::read(&path).map_err(|error| {
            Trouble::of(format!("cannot read {path}"), &error).because(reason::of_open(&error))
        })?;
        self.expect_alive(&process)?;
        Ok(text)
    }
}

fn number(process: &OwnedFd) -> Option<u64> {
    let is_pidfs = fstatfs(process).is_ok_and(|found| found.f_type.cast_unsigned() == PIDFS);
    is_pidfs.then(|| fstat(process).ok()).flatten().map(|found| found.st_ino)
}

fn gone(pid: u32, error: &io::Error) -> Trouble {
    match error.raw_os_error() {
        Some(libc::EINVAL) => Trouble::new(format!("{pid} is no process, but a thread of one")),
        _ => Trouble::of(format!("cannot open process {pid}"), error),
    }
}
