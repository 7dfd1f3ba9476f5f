//! The calls that have no safe wrapper.
//!
//! The callers keep to what makes them safe: an actor holds no lock and no buffer that a second
//! process would inherit in the middle of something.

pub(crate) mod foreign;
pub(crate) mod halted;
pub(crate) mod holder;

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// `struct clone_args` of include/uapi/linux/sched.h, first version with `cgroup` (Linux 5.7).
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

impl CloneArgs {
    /// As fork(2), but for `flags`.
    fn new(flags: u64) -> Self {
        let exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
        Self { flags, exit_signal, ..Self::default() }
    }
}

fn result(value: i64) -> io::Result<i64> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// clone(2) as fork(2) uses it: 0 in the child.
pub(crate) fn clone(flags: u64) -> io::Result<i64> {
    const NOTHING: usize = 0;
    let flags = flags | u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: without CLONE_VM the child has a copy of all memory and goes on here; nothing that
    // another thread might hold at this moment is needed by it.
    result(unsafe { libc::syscall(libc::SYS_clone, flags, NOTHING, NOTHING, NOTHING, NOTHING) })
}

/// clone3(2): 0 in the child. `set_tid` asks for a number in the innermost pid namespace.
pub(crate) fn clone3(flags: u64, set_tid: Option<i32>) -> io::Result<i64> {
    let tids = [set_tid.unwrap_or_default()];
    let mut args = CloneArgs::new(flags);
    if set_tid.is_some() {
        args.set_tid = tids.as_ptr().addr() as u64;
        args.set_tid_size = 1;
    }
    // SAFETY: as for `clone`; the kernel reads `args` and `tids`, which outlive the call.
    result(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })
}

/// clone3(2) with `CLONE_INTO_CGROUP`: 0 in the child, which starts in the cgroup of a directory.
pub(crate) fn clone3_into(flags: u64, cgroup: i32) -> io::Result<i64> {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let cgroup = u64::try_from(cgroup).map_err(io::Error::other)?;
    let args = CloneArgs { cgroup, ..CloneArgs::new(flags | INTO_CGROUP) };
    // SAFETY: as for `clone`; the kernel reads `args`, which outlives the call.
    result(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })
}

/// clone3(2) with a structure that is shorter than any version of it.
pub(crate) fn clone3_malformed(flags: u64) -> io::Result<i64> {
    let args = CloneArgs::new(flags);
    // SAFETY: the kernel refuses the size before it reads `args`.
    result(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, 8_usize) })
}

/// unshare(2) with any flags.
pub(crate) fn unshare(flags: u64) -> io::Result<()> {
    // SAFETY: CLONE_FILES and CLONE_FS part this thread's descriptors and directories from the
    // other threads', which share none with it here.
    result(unsafe { libc::syscall(libc::SYS_unshare, flags) }).map(drop)
}

/// setns(2) with any descriptor and any flags.
pub(crate) fn setns(fd: i32, flags: i32) -> io::Result<()> {
    // SAFETY: the kernel checks the descriptor; it is not closed.
    result(unsafe { libc::syscall(libc::SYS_setns, fd, flags) }).map(drop)
}

/// An ioctl(2) of nsfs that opens a related namespace: `NS_GET_USERNS`, `NS_GET_PARENT`.
pub(crate) fn relative(file: &OwnedFd, request: u64) -> io::Result<OwnedFd> {
    // SAFETY: these requests take no argument.
    let fd = result(unsafe { libc::syscall(libc::SYS_ioctl, file.as_raw_fd(), request, 0_usize) })?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the call just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The id of a namespace: `NS_GET_ID` of `ioctl_nsfs`(2), from 6.18 on, or for a mount namespace
/// `NS_GET_MNTNS_ID`, from 6.11 on.
pub(crate) fn namespace_id(fd: i32, is_mnt: bool) -> io::Result<u64> {
    const NS_GET_ID: u64 = 0x8008_b70d;
    const NS_GET_MNTNS_ID: u64 = 0x8008_b705;
    let mut id = 0_u64;
    let mut ask = |request: u64| {
        // SAFETY: the kernel writes a u64, which `id` has room for.
        result(unsafe { libc::syscall(libc::SYS_ioctl, fd, request, &raw mut id) })
    };
    match ask(NS_GET_ID) {
        Err(_) if is_mnt => ask(NS_GET_MNTNS_ID)?,
        result => result?,
    };
    Ok(id)
}

/// setresuid(2) of the calling thread alone.
pub(crate) fn set_user(uid: u32) -> io::Result<()> {
    // SAFETY: it takes numbers only.
    result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// close(2) of a descriptor that the script opened by number.
pub(crate) fn close(fd: i32) -> io::Result<()> {
    // SAFETY: scripts name only descriptors that an answer of theirs gave out.
    result(unsafe { libc::syscall(libc::SYS_close, fd) }).map(drop)
}

/// signal(2): it does again what it does by default, also to the programs started from here.
pub(crate) fn heed(number: i32) {
    // SAFETY: no handler of this program is lost, for it has none.
    unsafe { libc::signal(number, libc::SIG_DFL) };
}

/// Ends the calling thread and no other.
pub(crate) fn exit_thread() -> ! {
    // SAFETY: what the thread borrowed lives on in memory, which nobody frees.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    exit(1)
}

/// Ends this process at once, without a look at what its parent left in memory.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: it has no preconditions.
    unsafe { libc::_exit(status) }
}

/// A handle of a namespace: `struct file_handle` with a `struct nsfs_file_handle` of
/// include/uapi/linux/nsfs.h.
#[repr(C)]
pub(crate) struct Handle {
    bytes: u32,
    kind: i32,
    id: u64,
    flag: u32,
    inode: u32,
}

impl Handle {
    /// The handle of a namespace by its id, its `CLONE_NEW*` flag and its inode number.
    pub(crate) fn new(id: u64, flag: u64, inode: u64) -> io::Result<Self> {
        /// `FILEID_NSFS` of include/linux/exportfs.h.
        const NSFS: i32 = 0xf1;
        let flag = u32::try_from(flag).map_err(io::Error::other)?;
        let inode = u32::try_from(inode).map_err(io::Error::other)?;
        Ok(Self { bytes: 16, kind: NSFS, id, flag, inode })
    }
}

/// Opens the namespace with a handle; ESTALE if it is gone, EBADF if this kernel has no handles.
pub(crate) fn open_handle(handle: &Handle) -> io::Result<OwnedFd> {
    /// `FD_NSFS_ROOT` of include/uapi/linux/fcntl.h.
    const ROOT: i32 = -10_003;
    // SAFETY: the kernel reads the handle, which has the layout of struct file_handle.
    let opened = result(unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, ROOT, &raw const *handle, libc::O_RDONLY)
    });
    let fd = i32::try_from(opened?).map_err(io::Error::other)?;
    // SAFETY: the call just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the namespace with a handle is there; `None` if this kernel has no such handles.
pub(crate) fn is_alive(handle: &Handle) -> io::Result<Option<bool>> {
    match open_handle(handle) {
        Ok(_) => Ok(Some(true)),
        Err(error) if error.raw_os_error() == Some(libc::ESTALE) => Ok(Some(false)),
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ids of all active namespaces of a type, by its `CLONE_NEW*` flag (`listns(2)`, Linux 6.19).
pub(crate) fn list(flag: u64) -> io::Result<Vec<u64>> {
    /// The same on every architecture.
    const LISTNS: libc::c_long = 470;
    // `struct ns_id_req`: size, -, last id (two words), type, -, owner (two words).
    let mut request = [0_u32; 8];
    request[0] = 32;
    request[4] = u32::try_from(flag).map_err(io::Error::other)?;
    // All at once: to go on after an id fails where that namespace is not active any more.
    let mut ids = vec![0_u64; 100_000];
    // SAFETY: request and room are as long as said and outlive the call.
    let count =
        result(unsafe { libc::syscall(LISTNS, request.as_ptr(), ids.as_mut_ptr(), ids.len(), 0) })?;
    ids.truncate(usize::try_from(count).map_err(io::Error::other)?);
    Ok(ids)
}

/// Brings the loopback device of the own network namespace up: `SIOCSIFFLAGS` of netdevice(7).
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // `struct ifreq` of include/uapi/linux/if.h: the name in 16 bytes, then the flags.
    let mut request = [0_u8; size_of::<libc::ifreq>()];
    let flags = u16::try_from(libc::IFF_UP).map_err(io::Error::other)?.to_ne_bytes();
    request.iter_mut().zip(b"lo").for_each(|(to, byte)| *to = *byte);
    request.iter_mut().skip(libc::IFNAMSIZ).zip(flags).for_each(|(to, byte)| *to = byte);
    // SAFETY: the kernel reads a `struct ifreq` from `request`, which is of its size and outlives the
    // call.
    let call = || unsafe {
        libc::syscall(libc::SYS_ioctl, socket.as_raw_fd(), libc::SIOCSIFFLAGS, request.as_ptr())
    };
    result(call()).map(drop)
}
