//! Why namespaces that exist cannot be joined.

use std::{fs::File, io, os::fd::BorrowedFd};

use rustix::{io::Errno, process::geteuid, thread::CapabilitySet};

use super::{super::Reason, filter, holds, status, user_namespace};
use crate::{
    model::Kind,
    sys::{nsfs, process::own_namespace},
};

/// Of opening a file of a namespace or a process.
pub(in crate::plan) fn of_open(error: &io::Error) -> Option<Reason> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Some(Reason::new(
            "it takes CAP_SYS_PTRACE, and every capability that the process has, in its user namespace",
            "run it as root, or as the user who started it; `ns-trace doctor` shows what is missing",
        )),
        io::ErrorKind::NotFound => {
            Some(Reason::new("", "is it gone? `ns-trace list` shows what there is"))
        }
        _ => None,
    }
}

/// Of setns(2).
pub(in crate::plan) fn of_enter(
    kind: Kind,
    file: Option<BorrowedFd<'_>>,
    errno: Errno,
) -> Option<Reason> {
    match errno {
        Errno::PERM => owner(kind, file).or_else(|| chroot(kind)).or_else(filter),
        Errno::INVAL if kind == Kind::User => same(file).or_else(threads),
        Errno::INVAL if kind == Kind::Pid => Some(Reason::new(
            "it is not below the pid namespace of this process, and only such may be entered",
            "enter it from a process in a pid namespace above it",
        )),
        Errno::INVAL | Errno::USERS => threads(),
        Errno::SRCH => Some(Reason::new("the process has ended", "")),
        Errno::NOMEM if kind == Kind::Pid => {
            Some(Reason::new("its first process has ended: no other can begin there", ""))
        }
        _ => None,
    }
}

/// Whoever enters must have a capability in the user namespace that owns it.
fn owner(kind: Kind, file: Option<BorrowedFd<'_>>) -> Option<Reason> {
    let (file, own) = (file?, own_namespace("user").ok()?);
    let owner = match kind {
        Kind::User => nsfs::reference(file),
        _ => nsfs::owner(file).and_then(|owner| nsfs::reference(&owner)),
    };
    let me = || format!("this process is user {} in user:{own}", geteuid().as_raw());
    let hint =
        "run it as root, or as the user who made it; or enter the user namespace too (--user)";
    match owner {
        Ok(owner) if owner.inode == own && holds(CapabilitySet::SYS_ADMIN) => None,
        Ok(owner) if owner.inode == own => {
            Some(Reason::new(format!("CAP_SYS_ADMIN is missing in {}", user_namespace()), hint))
        }
        Ok(owner) => {
            Some(Reason::new(format!("CAP_SYS_ADMIN is missing in {owner}: {}", me()), hint))
        }
        // Above ours.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Some(Reason::new(
            format!("it belongs to a user namespace that is not below ours: {}", me()),
            "enter it from outside of this user namespace",
        )),
        Err(_) => None,
    }
}

fn chroot(kind: Kind) -> Option<Reason> {
    (kind == Kind::Mnt && !holds(CapabilitySet::SYS_CHROOT)).then(|| {
        Reason::new(format!("CAP_SYS_CHROOT is missing in {}", user_namespace()), "run it as root")
    })
}

fn same(file: Option<BorrowedFd<'_>>) -> Option<Reason> {
    let own = nsfs::reference(File::open("/proc/self/ns/user").ok()?).ok()?;
    let other = nsfs::reference(file?).ok()?;
    (own.inode == other.inode).then(|| {
        Reason::new("this process is in it already, and the kernel refuses that", "leave it out")
    })
}

fn threads() -> Option<Reason> {
    let threads: u32 = status("Threads")?.parse().ok()?;
    (threads > 1).then(|| {
        Reason::new(
            format!("this process has {threads} threads, and only one that has one may do that"),
            "something is preloaded that starts threads: look at LD_PRELOAD",
        )
    })
}
