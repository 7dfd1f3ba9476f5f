//! The open files of other processes.

use std::{io, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// `KCMP_FILES` of include/uapi/linux/kcmp.h.
const FILES: libc::c_int = 2;

/// A copy of a descriptor of a process (Linux 5.6).
///
/// # Errors
///
/// EPERM without the right to trace the process, ESRCH and EBADF if it is gone.
pub fn duplicate(process: &OwnedFd, fd: u32) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    Ok(pidfd_getfd(process, fd, PidfdGetfdFlags::empty())?)
}

/// A handle on a process (Linux 5.3).
///
/// # Errors
///
/// ESRCH if it is gone.
pub fn process(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// A handle on a thread that need not be the first of its process (`PIDFD_THREAD`, Linux 6.9).
///
/// # Errors
///
/// EINVAL on kernels that cannot, ESRCH if it is gone.
pub fn thread(tid: u32) -> io::Result<OwnedFd> {
    let tid = i32::try_from(tid).ok().and_then(Pid::from_raw);
    let tid = tid.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    // The flag is O_EXCL (include/uapi/linux/pidfd.h).
    Ok(pidfd_open(tid, PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned()))?)
}

/// Whether two threads have one table of open files (kcmp(2)).
///
/// # Errors
///
/// EPERM without the right to trace both, ENOSYS if the kernel was built without.
pub fn same_table(one: u32, other: u32) -> io::Result<bool> {
    // SAFETY: the call takes numbers only.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, one, other, FILES, 0, 0) };
    if order < 0 { Err(io::Error::last_os_error()) } else { Ok(order == 0) }
}
