//! What open namespaces tell of themselves (`ioctl_nsfs(2)`), and what the file system of namespaces
//! can do on this kernel.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

use crate::model::{Kind, NsRef};

/// Requests of include/uapi/linux/nsfs.h, type 0xb7.
const GET_USERNS: libc::Ioctl = 0xb701;
const GET_PARENT: libc::Ioctl = 0xb702;
const GET_NSTYPE: libc::Ioctl = 0xb703;
const GET_OWNER_UID: libc::Ioctl = 0xb704;
/// `_IOR(0xb7, 5, __u64)`
const GET_MNTNS_ID: libc::Ioctl = 0x8008_b705_u32 as libc::Ioctl;
/// `_IOR(0xb7, 13, __u64)`
const GET_ID: libc::Ioctl = 0x8008_b70d_u32 as libc::Ioctl;

/// `SIOCGSKNS` of include/uapi/linux/sockios.h.
const SOCKET_NS: libc::Ioctl = 0x894c;

/// `TUNGETDEVNETNS`, `_IO('T', 227)` of `include/uapi/linux/if_tun.h` (5.10).
const TUN_NS: libc::Ioctl = 0x54e3;

/// The system call `listns`, the same number on every architecture.
const LISTNS: libc::c_long = 470;

/// `FILEID_NSFS` of include/linux/exportfs.h.
const NSFS_HANDLE: i32 = 0xf1;

/// The root of nsfs as a descriptor (include/uapi/linux/fcntl.h, Linux 6.18).
const NSFS_ROOT: libc::c_int = -10003;

/// `struct file_handle` around `struct nsfs_file_handle` (include/uapi/linux/nsfs.h), with the
/// longest room (`MAX_HANDLE_SZ`).
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: u64,
    ns_type: u32,
    inode: u32,
    rest: [u8; 112],
}

impl Handle {
    const fn new(bytes: u32, id: u64) -> Self {
        Self { bytes, kind: NSFS_HANDLE, id, ns_type: 0, inode: 0, rest: [0; 112] }
    }
}

/// The type of an open namespace.
///
/// # Errors
///
/// ENOTTY if the file is none.
pub fn kind(ns: impl AsFd) -> io::Result<Kind> {
    // SAFETY: the request takes no argument.
    let flag = unsafe { libc::ioctl(ns.as_fd().as_raw_fd(), GET_NSTYPE) };
    let flag = u64::try_from(flag).map_err(|_negative| io::Error::last_os_error())?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.flag() == flag);
    kind.ok_or_else(|| io::Error::other("a type of namespace that nobody knows"))
}

/// The type and inode of an open namespace; the id and whether it is initial are left unknown.
///
/// # Errors
///
/// ENOTTY if the file is none.
pub fn reference(ns: impl AsFd) -> io::Result<NsRef> {
    let kind = kind(&ns)?;
    let inode = u32::try_from(fstat(&ns)?.st_ino).map_err(io::Error::other)?;
    Ok(NsRef { kind, inode, id: None, initial: false })
}

/// The user namespace that owns it (Linux 4.9); of a user namespace the parent.
///
/// # Errors
///
/// ENOTTY on kernels that lack the request; EPERM if the owner is out of sight.
pub fn owner(ns: impl AsFd) -> io::Result<OwnedFd> {
    related(ns, GET_USERNS)
}

/// The parent of a user or pid namespace (Linux 4.9).
///
/// # Errors
///
/// EPERM if it is out of sight or there is none, EINVAL for other types.
pub fn parent(ns: impl AsFd) -> io::Result<OwnedFd> {
    related(ns, GET_PARENT)
}

/// The network namespace of a socket (Linux 4.16).
///
/// # Errors
///
/// EPERM without `CAP_NET_ADMIN` there, ENOTTY if the file is no socket.
pub fn of_socket(socket: impl AsFd) -> io::Result<OwnedFd> {
    related(socket, SOCKET_NS)
}

/// The network namespace of an open `/dev/net/tun` that has a device.
///
/// # Errors
///
/// EBADFD if it has none, ENOTTY if the file is none.
pub fn of_tun(file: impl AsFd) -> io::Result<OwnedFd> {
    related(file, TUN_NS)
}

fn related(file: impl AsFd, request: libc::Ioctl) -> io::Result<OwnedFd> {
    // SAFETY: the request takes no argument.
    let fd = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), request) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the request just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The user who made a user namespace, as the caller's user namespace numbers users (Linux 4.11).
///
/// # Errors
///
/// EINVAL for other types.
pub fn owner_uid(ns: impl AsFd) -> io::Result<u32> {
    let mut uid = 0_u32;
    // SAFETY: the request writes one uid_t, which outlives the call.
    let result = unsafe { libc::ioctl(ns.as_fd().as_raw_fd(), GET_OWNER_UID, &raw mut uid) };
    if result == 0 { Ok(uid) } else { Err(io::Error::last_os_error()) }
}

/// The kernel's 64-bit id (Linux 6.18; of mount namespaces 6.11).
///
/// # Errors
///
/// ENOTTY on kernels that lack it.
pub fn id(ns: impl AsFd) -> io::Result<u64> {
    let ask = |request: libc::Ioctl| {
        let mut id = 0_u64;
        // SAFETY: the request writes one u64, which outlives the call.
        let result = unsafe { libc::ioctl(ns.as_fd().as_raw_fd(), request, &raw mut id) };
        if result == 0 { Ok(id) } else { Err(io::Error::last_os_error()) }
    };
    ask(GET_ID).or_else(|error| ask(GET_MNTNS_ID).map_err(|_not_mnt_either| error))
}

/// Opens the namespace with that 64-bit id (Linux 6.18). Its type and inode may be left out from
/// Linux 6.19 on, where all namespaces are in one tree.
///
/// # Errors
///
/// ESTALE if there is none any more, EPERM if it is out of sight, EBADF on kernels that cannot.
pub fn open_by_id(id: u64, name: Option<(Kind, u32)>) -> io::Result<OwnedFd> {
    let mut handle = Handle::new(16, id);
    if let Some((kind, inode)) = name {
        handle.ns_type = u32::try_from(kind.flag()).map_err(io::Error::other)?;
        handle.inode = inode;
    }
    // SAFETY: the handle has the layout of struct file_handle with the room that it says.
    let fd = unsafe {
        libc::open_by_handle_at(
            NSFS_ROOT,
            (&raw mut handle).cast(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The ids of the namespaces that are in use, as far as the caller may see them (`listns(2)`,
/// Linux 6.19).
///
/// # Errors
///
/// ENOSYS on kernels that lack it.
pub fn list() -> io::Result<Vec<u64>> {
    /// `struct ns_id_req`, version 0 (include/uapi/linux/nsfs.h).
    #[repr(C)]
    struct Request {
        size: u32,
        reserved: u32,
        after: u64,
        kinds: u32,
        reserved_too: u32,
        owner: u64,
    }
    let request = Request { size: 32, reserved: 0, after: 0, kinds: 0, reserved_too: 0, owner: 0 };
    // One call with room for all: up to 7.2 a further page may end too early, where the first
    // namespace of it is not in use.
    let mut ids = vec![0_u64; 4096];
    loop {
        // SAFETY: request and room are as long as said and outlive the call.
        let result =
            unsafe { libc::syscall(LISTNS, &raw const request, ids.as_mut_ptr(), ids.len(), 0) };
        let len = usize::try_from(result).map_err(|_negative| io::Error::last_os_error())?;
        if len < ids.len() || ids.len() >= MOST {
            ids.truncate(len);
            return Ok(ids);
        }
        ids.resize((ids.len() * 8).min(MOST), 0);
    }
}

/// The most ids that `listns` takes room for.
const MOST: usize = 1_000_000;

/// The 64-bit id of the own uts namespace, by ioctl (Linux 6.18).
///
/// # Errors
///
/// ENOTTY on kernels that lack it.
pub fn own_id() -> io::Result<u64> {
    id(File::open("/proc/self/ns/uts")?)
}

/// Whether namespaces tell who owns them (Linux 4.9).
///
/// # Errors
///
/// ENOTTY on kernels that lack it; EPERM if the owner is out of sight.
pub fn own_owner() -> io::Result<()> {
    owner(File::open("/proc/self/ns/uts")?).map(drop)
}

/// Whether namespaces have file handles (Linux 6.18).
///
/// # Errors
///
/// EOPNOTSUPP on kernels that lack them.
pub fn own_handle() -> io::Result<()> {
    let file = openat(CWD, "/proc/self/ns/uts", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut handle = Handle::new(128, 0);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespaces_tell_what_they_are() {
        for kind in Kind::ALL {
            let path = format!("/proc/self/ns/{}", kind.name());
            let Ok(file) = File::open(path) else {
                continue;
            };
            let ns = reference(&file).expect("a namespace");
            let link = super::super::process::own_namespace(kind.name()).expect("a link");
            assert_eq!((ns.kind, ns.inode), (kind, link));
        }
        assert!(kind(File::open("/proc/self/stat").expect("a file")).is_err());
    }

    #[test]
    fn what_has_an_id_is_found_by_it() {
        // Kernels before 6.18 have neither.
        if let Ok(id) = own_id() {
            let inode = super::super::process::own_namespace("uts").expect("a link");
            let found = open_by_id(id, Some((Kind::Uts, inode))).expect("the own namespace");
            let ns = reference(found).expect("a namespace");
            assert_eq!((ns.kind, ns.inode), (Kind::Uts, inode));
            let gone = open_by_id(id, Some((Kind::Uts, inode + 1)));
            assert_eq!(gone.map_err(|error| error.raw_os_error()).err(), Some(Some(libc::ESTALE)));
        }
    }
}
