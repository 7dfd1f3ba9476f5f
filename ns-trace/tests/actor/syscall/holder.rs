//! Ways to hold a namespace without being in it.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
    },
};

use super::result;

/// Passes a new descriptor on, which is nobody else's.
fn owned(value: i64) -> io::Result<OwnedFd> {
    let fd = i32::try_from(value).map_err(io::Error::other)?;
    // SAFETY: the caller just got this descriptor from the kernel.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `io_uring_setup`(2); `polled` has the kernel start a thread for it (`IORING_SETUP_SQPOLL`).
pub(crate) fn ring(polled: bool) -> io::Result<OwnedFd> {
    const SQPOLL: u32 = 2;
    // `struct io_uring_params`, whose third word are the flags.
    let mut parameters = [0_u32; 30];
    if polled {
        parameters[2] = SQPOLL;
    }
    // SAFETY: the kernel reads and writes `parameters`, which has room for what it writes.
    let ring =
        result(unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) })?;
    owned(ring)
}

/// `io_uring_register`(2) with `IORING_REGISTER_FILES`: the ring holds the file.
pub(crate) fn register(ring: i32, fd: i32) -> io::Result<()> {
    const FILES: u32 = 2;
    let files = [fd];
    // SAFETY: the kernel reads the one descriptor that is there.
    let registered = unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring, FILES, files.as_ptr(), files.len())
    };
    result(registered).map(drop)
}

/// Sends a descriptor and returns the socket in which it waits to be received.
pub(crate) fn post(fd: i32) -> io::Result<OwnedFd> {
    let (sender, receiver) = UnixDatagram::pair()?;
    send(sender.as_raw_fd(), fd)?;
    Ok(receiver.into())
}

/// Sends a descriptor to a socket that has not accepted the connection yet, and returns that.
pub(crate) fn knock(fd: i32) -> io::Result<OwnedFd> {
    let name = format!("ns-trace-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name)?;
    let listener = UnixListener::bind_addr(&address)?;
    send(UnixStream::connect_addr(&address)?.as_raw_fd(), fd)?;
    Ok(listener.into())
}

/// Has signals about a file go to a process (`F_SETOWN`).
pub(crate) fn signals(fd: i32, pid: i32) -> io::Result<()> {
    // SAFETY: it takes numbers only.
    result(unsafe { libc::fcntl(fd, libc::F_SETOWN, pid) }.into()).map(drop)
}

/// Sends a descriptor (`SCM_RIGHTS`).
fn send(socket: i32, fd: i32) -> io::Result<()> {
    /// One `struct cmsghdr` and the descriptor behind it, padded.
    #[repr(C)]
    struct Rights {
        header: libc::cmsghdr,
        fd: i32,
        padding: i32,
    }
    let mut letter = *b"x";
    let mut part = libc::iovec { iov_base: letter.as_mut_ptr().cast(), iov_len: 1 };
    let length = size_of::<libc::cmsghdr>() + size_of::<i32>();
    let header = libc::cmsghdr {
        cmsg_len: length,
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    let mut rights = Rights { header, fd, padding: 0 };
    let message = libc::msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut part,
        msg_iovlen: 1,
        msg_control: (&raw mut rights).cast(),
        msg_controllen: size_of::<Rights>(),
        msg_flags: 0,
    };
    // SAFETY: the kernel reads the message and all that it points at, which outlives the call.
    result(unsafe { libc::sendmsg(socket, &raw const message, 0) } as i64).map(drop)
}

/// `pidfd_getfd`(2): another process's descriptor, the same open file.
pub(crate) fn fetch(pidfd: i32, fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: it takes numbers only.
    owned(result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, fd, 0) })?)
}

/// A System V shared memory segment, attached and without a name: goes when it is detached.
pub(crate) fn attach() -> io::Result<usize> {
    // SAFETY: it takes numbers only.
    let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600) };
    result(segment.into())?;
    // SAFETY: the kernel chooses a free place for the new mapping.
    let place = unsafe { libc::shmat(segment, core::ptr::null(), 0) };
    // SAFETY: the third argument is not used for this command.
    result(unsafe { libc::shmctl(segment, libc::IPC_RMID, core::ptr::null_mut()) }.into())?;
    if place.addr() == usize::MAX { Err(io::Error::last_os_error()) } else { Ok(place.addr()) }
}

/// Detaches what [`attach`] attached.
pub(crate) fn detach(place: usize) -> io::Result<()> {
    // SAFETY: nothing refers to the memory of a segment that is attached here.
    let detached = unsafe { libc::shmdt(core::ptr::without_provenance(place)) };
    result(detached.into()).map(drop)
}

/// A tap device of a name that the kernel chooses; it goes when the file is closed.
pub(crate) fn tap() -> io::Result<OwnedFd> {
    /// `TUNSETIFF` (`include/uapi/linux/if_tun.h`).
    const SET: libc::Ioctl = 0x4004_54ca;
    /// `IFF_TAP | IFF_NO_PI`, which stand behind the 16 bytes of the name in `struct ifreq`.
    const FLAGS: u16 = 0x1002;
    let file = std::fs::File::options().read(true).write(true).open("/dev/net/tun")?;
    let mut request = [0_u8; 40];
    request[16..18].copy_from_slice(&FLAGS.to_ne_bytes());
    // SAFETY: the request reads and writes one `struct ifreq`, which is no longer.
    result(unsafe { libc::ioctl(file.as_raw_fd(), SET, request.as_mut_ptr()) }.into())?;
    Ok(file.into())
}

/// `open_tree`(2) of a path, with any flags.
pub(crate) fn open_tree(path: &str, flags: u32) -> io::Result<OwnedFd> {
    let path = CString::new(path)?;
    // SAFETY: the kernel reads the path, which outlives the call.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    owned(result(tree)?)
}

/// fsmount(2) of a new tmpfs, with any flags.
pub(crate) fn fsmount(flags: u32) -> io::Result<OwnedFd> {
    use rustix::mount::{FsOpenFlags, fsconfig_create, fsopen};
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    // SAFETY: it takes numbers only.
    let mount = unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), flags, 0) };
    owned(result(mount)?)
}

/// Has the kernel refuse a system call of this thread with EPERM (seccomp(2)).
pub(crate) fn forbid(number: u32) -> io::Result<()> {
    /// `seccomp_data.nr`.
    const NUMBER: u32 = 0;
    let op = |code: u32, k: u32, jt: u8, jf: u8| -> io::Result<libc::sock_filter> {
        Ok(libc::sock_filter { code: u16::try_from(code).map_err(io::Error::other)?, jt, jf, k })
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let same = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let end = libc::BPF_RET | libc::BPF_K;
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    let mut filter = [
        op(load, NUMBER, 0, 0)?,
        op(same, number, 0, 1)?,
        op(end, refusal, 0, 0)?,
        op(end, libc::SECCOMP_RET_ALLOW, 0, 0)?,
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads the program, which outlives the call.
    let set = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    result(set).map(drop)
}
