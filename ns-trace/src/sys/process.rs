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
    namespace("self", name)
}

fn namespace(process: &str, name: &str) -> io::Result<u32> {
    let link = fs::read_link(format!("/proc/{process}/ns/{name}"))?;
    let text = link.to_string_lossy().into_owned();
    text.split_once(":[")
        .and_then(|(_, rest)| rest.strip_suffix(']'))
        .and_then(|inode| inode.parse().ok())
        .ok_or_else(|| io::Error::other(format!("unexpected link `{text}`")))
}

/// The effective user number of a process, as this process sees users; `None` if it is gone.
#[must_use]
pub fn effective_uid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

/// The inode of the initial namespace called `name` in /proc/self/ns; `None` if unknown.
///
/// Six are the same on every kernel (`PROC_*_INIT_INO` of `include/linux/proc_ns.h`); mnt and net
/// are those of kthreadd, which only privileged processes of its pid namespace may see.
#[must_use]
pub fn initial_namespace(name: &str) -> Option<u32> {
    match name {
        "ipc" => Some(0xefff_ffff),
        "uts" => Some(0xefff_fffe),
        "user" => Some(0xefff_fffd),
        "pid" => Some(0xefff_fffc),
        "cgroup" => Some(0xefff_fffb),
        "time" => Some(0xefff_fffa),
        _ => {
            let is_kthreadd = fs::read("/proc/2/comm").is_ok_and(|comm| comm == b"kthreadd\n");
            is_kthreadd.then(|| namespace("2", name).ok()).flatten()
        }
    }
}

/// The inode that the initial namespace called `name` in /proc/self/ns has if it is in sight: no
/// other has it.
///
/// From Linux 6.18 on those of mnt and net are fixed too (`enum init_ns_ino` of
/// `include/uapi/linux/nsfs.h`); before, no namespace had these numbers.
#[must_use]
pub fn initial_in_sight(name: &str) -> Option<u32> {
    initial_namespace(name).or(match name {
        "net" => Some(0xefff_fff9),
        "mnt" => Some(0xefff_fff8),
        _ => None,
    })
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
