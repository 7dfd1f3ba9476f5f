//! Programs, maps and links that stay when their process ends: pinned in a BPF file system.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use rustix::fs::statfs;

use super::own;

/// Numbers of enum `bpf_cmd`.
const OBJ_PIN: libc::c_long = 6;
const OBJ_GET: libc::c_long = 7;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// `BPF_FS_MAGIC` of include/uapi/linux/magic.h.
const MAGIC: rustix::fs::FsWord = 0xcafe_4a11;

/// The part of `union bpf_attr` that both commands read.
#[repr(C)]
struct Attributes {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Pins a program, map or link.
///
/// # Errors
///
/// Those of bpf(2): EPERM if the directory is not in a BPF file system or the name has a dot, EEXIST,
/// EINVAL for what cannot be pinned.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let fd = object.as_raw_fd().unsigned_abs();
    let attributes = Attributes { path: path.as_ptr().addr() as u64, fd, flags: 0 };
    // SAFETY: the attributes and the path outlive the call.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, OBJ_PIN, &raw const attributes, size_of::<Attributes>())
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Opens what is pinned at `path`.
///
/// # Errors
///
/// Those of bpf(2).
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Attributes { path: path.as_ptr().addr() as u64, fd: 0, flags: 0 };
    // SAFETY: the attributes and the path outlive the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, OBJ_GET, &raw const attributes, size_of::<Attributes>())
    };
    own(fd)
}

/// The kernel's number of a map, which no other has until the machine is started again, and how many
/// elements it has, or bytes if it is a ring.
///
/// # Errors
///
/// Those of bpf(2).
pub fn map_info(map: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    /// The part of `union bpf_attr` that the command reads.
    #[repr(C)]
    struct InfoAttributes {
        fd: u32,
        len: u32,
        info: u64,
    }
    // `struct bpf_map_info` up to the field.
    let mut info = [0_u32; 5];
    let attributes = InfoAttributes {
        fd: map.as_raw_fd().unsigned_abs(),
        len: u32::try_from(size_of_val(&info)).map_err(io::Error::other)?,
        info: info.as_mut_ptr() as u64,
    };
    // SAFETY: the attributes and the memory that they point at are as long as said.
    let done = unsafe {
        let len = size_of::<InfoAttributes>();
        libc::syscall(libc::SYS_bpf, OBJ_GET_INFO_BY_FD, &raw const attributes, len)
    };
    let [_kind, id, _key_len, _value_len, entries] = info;
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok((id, entries)) }
}

/// Whether `directory` is in a BPF file system.
///
/// # Errors
///
/// Those of statfs(2): ENOENT if there is no such directory.
pub fn is_in_file_system(directory: &Path) -> io::Result<bool> {
    Ok(statfs(directory)?.f_type == MAGIC)
}

/// Removes a directory of pins; whether there was one.
///
/// # Errors
///
/// Those of unlink(2) and rmdir(2).
pub fn remove(directory: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(directory)?;
    Ok(true)
}
