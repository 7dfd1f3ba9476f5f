//! What the file system of namespaces can do on this kernel (`ioctl_nsfs(2)`).

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, RawFd},
};

/// `NS_GET_ID` of include/uapi/linux/nsfs.h: `_IOR(0xb7, 13, __u64)`.
const GET_ID: libc::Ioctl = 0x8008_b70d_u32 as libc::Ioctl;

/// `NS_GET_USERNS`: `_IO(0xb7, 1)`.
const GET_OWNER: libc::Ioctl = 0xb701;

/// The system call `listns`, the same number on every architecture.
const LISTNS: libc::c_long = 470;

/// `FILEID_NSFS` of include/linux/exportfs.h.
const NSFS_HANDLE: i32 = 0xf1;

/// The longest file handle (`MAX_HANDLE_SZ`).
const LONGEST_HANDLE: usize = 128;

/// The 64-bit id of the own uts namespace, by ioctl (Linux 6.18).
///
/// # Errors
///
/// ENOTTY on kernels that lack it.
pub fn own_id() -> io::Result<u64> {
    let file = File::open("/proc/self/ns/uts")?;
    let mut id = 0_u64;
    // SAFETY: the request writes one u64, which outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), GET_ID, &raw mut id) };
    if result == 0 { Ok(id) } else { Err(io::Error::last_os_error()) }
}

/// Whether namespaces tell who owns them (Linux 4.9).
///
/// # Errors
///
/// ENOTTY on kernels that lack it; EPERM if the owner is out of sight.
pub fn own_owner() -> io::Result<()> {
    let file = File::open("/proc/self/ns/uts")?;
    // SAFETY: the request takes no argument.
    let fd = unsafe { libc::ioctl(file.as_raw_fd(), GET_OWNER) };
    close(fd)
}

/// Whether namespaces have file handles (Linux 6.18).
///
/// # Errors
///
/// EOPNOTSUPP on kernels that lack them.
pub fn own_handle() -> io::Result<()> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        data: [u8; LONGEST_HANDLE],
    }
    let file = File::open("/proc/self/ns/uts")?;
    let mut handle = Handle { bytes: 128, kind: 0, data: [0; LONGEST_HANDLE] };
    let mut mount = 0;
    // SAFETY: the handle has the layout of struct file_handle with the room that it says.
    let result = unsafe {
        libc::name_to_handle_at(
            file.as_raw_fd(),
            c"".as_ptr(),
            (&raw mut handle).cast(),
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if handle.kind == NSFS_HANDLE { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

/// Whether the kernel lists namespaces (`listns(2)`, Linux 6.19).
///
/// # Errors
///
/// ENOSYS on kernels that lack it.
pub fn list() -> io::Result<()> {
    /// `struct ns_id_req`, version 0 (include/uapi/linux/nsfs.h).
    #[repr(C)]
    #[derive(Default)]
    struct Request {
        size: u32,
        reserved: u32,
        after: u64,
        kind: u32,
        reserved_too: u32,
        owner: u64,
    }
    let request = Request { size: 32, kind: 0x0400_0000, ..Request::default() };
    let mut ids = [0_u64; 1];
    // SAFETY: request and room are as long as said and outlive the call.
    let result =
        unsafe { libc::syscall(LISTNS, &raw const request, ids.as_mut_ptr(), ids.len(), 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes what a successful request opened.
fn close(fd: RawFd) -> io::Result<()> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the request just made this descriptor; nobody else owns it.
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) });
    Ok(())
}
