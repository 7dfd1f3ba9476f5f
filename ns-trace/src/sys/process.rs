//! What /proc tells of one process.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::ffi::OsStringExt as _,
};

/// What /proc/self/ns says of one entry: the inode number.
///
/// # Errors
///
/// If the link cannot be read, or is not of the form `net:[4026531840]`.
pub fn own_namespace(name: &str) -> io::Result<u32> {
    let link = fs::read_link(format!("/proc/self/ns/{name}"))?;
    let text = link.to_string_lossy().into_owned();
    text.split_once(":[")
        .and_then(|(_, rest)| rest.strip_suffix(']'))
        .and_then(|inode| inode.parse().ok())
        .ok_or_else(|| io::Error::other(format!("unexpected link `{text}`")))
}

/// The path of the file that `pid` runs; `None` if it is gone or a kernel thread.
#[must_use]
pub fn exe(pid: u32) -> Option<Vec<u8>> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let mut path = path.into_os_string().into_vec();
    // The kernel marks files that have been unlinked meanwhile.
    if let Some(len) = path.strip_suffix(b" (deleted)").map(<[u8]>::len) {
        path.truncate(len);
    }
    Some(path)
}

/// The arguments of `pid`, each ended by a NUL, at most `limit` bytes.
#[must_use]
pub fn args(pid: u32, limit: usize) -> Option<Vec<u8>> {
    let file = File::open(format!("/proc/{pid}/cmdline")).ok()?;
    let mut args = Vec::new();
    file.take(limit as u64).read_to_end(&mut args).ok()?;
    Some(args)
}
