//! Why something cannot be mounted.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use rustix::{io::Errno, thread::CapabilitySet};

use super::{
    super::{Pin, Reason, mount::FileSystem, word},
    filter, lacks,
};
use crate::{model::Slot, sys::nsfs};

const NEEDS: &str = "run it as root, or add a user namespace: --user --map-root-user (-Ur)";

/// Of the propagation of all mounts.
pub(in crate::plan) fn of_propagation(error: Errno) -> Option<Reason> {
    match error {
        Errno::PERM => lacks("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN, NEEDS).or_else(filter),
        Errno::INVAL => Some(Reason::new(
            "the root is no mount, as in a chroot",
            "--propagation unchanged leaves it as it is",
        )),
        _ => None,
    }
}

/// Of a file system that shows namespaces.
pub(in crate::plan) fn of_mount(kind: FileSystem, on: &Path, error: Errno) -> Option<Reason> {
    match (error, kind) {
        (Errno::PERM, FileSystem::Proc) => lacks("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN, NEEDS)
            .or_else(masked)
            .or_else(|| Some(foreign_pid_namespace())),
        (Errno::PERM, FileSystem::Binfmt) => {
            lacks("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN, NEEDS).or_else(|| {
                Some(Reason::new(
                    "in a user namespace it can be mounted from Linux 6.7 on",
                    "run it as root, without --user",
                ))
            })
        }
        (Errno::NODEV, FileSystem::Binfmt) => {
            Some(Reason::new("the kernel has no binfmt_misc", "as root: modprobe binfmt_misc"))
        }
        (Errno::NOENT | Errno::NOTDIR, _) => Some(Reason::new(
            format!("there is no directory {}", word::text(on)),
            "in a new root it must exist",
        )),
        (Errno::BUSY, FileSystem::Proc) => Some(Reason::new(
            "this very proc is mounted there already",
            "it shows the pid namespace of the process that mounts it: add --pid --fork",
        )),
        _ => None,
    }
}

/// In a user namespace a new proc must not show more than the old one (`mount_too_revealing` of
/// fs/namespace.c).
fn masked() -> Option<Reason> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let hidden: Vec<_> = places.filter(|place| place.starts_with("/proc/")).take(4).collect();
    (!hidden.is_empty()).then(|| {
        Reason::new(
            format!(
                "parts of /proc are covered ({}), and a new proc would show them",
                hidden.join(", ")
            ),
            "container engines cover them: with podman and docker, --security-opt unmask=ALL",
        )
    })
}

/// The mounter must have capabilities in the user namespace that owns the pid namespace
/// (`proc_init_fs_context` and `mount_capable`).
fn foreign_pid_namespace() -> Reason {
    Reason::new(
        "the pid namespace belongs to a user namespace above, or /proc is not mounted in full",
        "add --pid --fork, so that there is a new one to show",
    )
}

/// Of the register of interpreters.
pub(in crate::plan) fn of_interpreter(error: &io::Error) -> Option<Reason> {
    match error.raw_os_error()? {
        libc::EEXIST => Some(Reason::new("an interpreter of that name is registered", "")),
        libc::EINVAL => Some(Reason::new(
            "it is not of the form :name:type:offset:magic:mask:interpreter:flags",
            "the kernel's admin-guide/binfmt-misc explains the fields",
        )),
        libc::ENOENT => {
            Some(Reason::new("the interpreter, or the mounted register, is not there", ""))
        }
        _ => None,
    }
}

/// Of a namespace that is mounted on a file.
pub(in crate::plan) fn of_pin(pin: &Pin, source: &str, error: Errno) -> Option<Reason> {
    let file = word::text(&pin.file);
    match error {
        Errno::NOENT if !pin.file.exists() => Some(Reason::new(
            format!("there is no file {file}"),
            format!("make it first: touch {file}"),
        )),
        Errno::NOENT if matches!(pin.slot, Slot::PidForChildren) => Some(Reason::new(
            format!("{source} is not there until the namespace has a process"),
            "add --fork",
        )),
        Errno::NOTDIR => Some(Reason::new(
            "a namespace is mounted on a file, not on a directory",
            format!("name a file: touch {file}/ns"),
        )),
        Errno::INVAL if matches!(pin.slot, Slot::Mnt) => passes_for_older(source).or_else(|| {
            Some(Reason::new(
                "a mount namespace can be mounted only where mounts do not spread, and not within \
                 itself",
                "give it a directory D that is private: mount --bind D D; mount --make-private D",
            ))
        }),
        Errno::PERM => lacks(
            "CAP_SYS_ADMIN",
            CapabilitySet::SYS_ADMIN,
            "a name that stays can be given by root only",
        )
        .or_else(filter),
        _ => None,
    }
}

/// The kernel mounts a mount namespace only in an older one, which it tells by the ids
/// (`mnt_ns_loop` in fs/namespace.c). Linux 6.18 gives every CPU a range of ids.
fn passes_for_older(source: &str) -> Option<Reason> {
    let id = |path| nsfs::id(File::open(path).ok()?).ok();
    let (new, own) = (id(source)?, id("/proc/self/ns/mnt")?);
    (new < own).then(|| {
        Reason::new(
            format!(
                "the new one passes for older than the one it would be mounted in: its id {new} is \
                 below {own}"
            ),
            "this Linux numbers namespaces on every CPU apart: try again on another (taskset -c N)",
        )
    })
}
