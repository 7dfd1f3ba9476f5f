//! Why the kernel refuses a step, found out by looking: errno alone has many.

mod identity;
mod map;
mod mount;
mod namespace;

use std::fs;

use rustix::{process::geteuid, thread::CapabilitySet};

pub(super) use self::{
    identity::{of_groups, of_identity, of_root},
    map::{of_map, of_offset, of_setgroups},
    mount::{of_interpreter, of_mount, of_pin, of_propagation},
    namespace::{of_fork, of_unshare},
};
use super::Reason;
use crate::sys::{capability::holds, process::own_namespace};

/// The capability that is missing, and in which user namespace, if it is.
pub(super) fn lacks(name: &str, bit: CapabilitySet, hint: &str) -> Option<Reason> {
    (!holds(bit)).then(|| Reason::new(format!("{name} is missing in {}", user_namespace()), hint))
}

/// The user namespace that we are in, and as whom.
fn user_namespace() -> String {
    let uid = geteuid().as_raw();
    match own_namespace("user") {
        Ok(inode) => format!("the user namespace user:{inode} (as user {uid})"),
        Err(_) => format!("this user namespace (as user {uid})"),
    }
}

/// A filter of system calls may say EPERM to anything.
pub(super) fn filter() -> Option<Reason> {
    (status("Seccomp")? == "2").then(|| {
        Reason::new(
            "a seccomp filter is in force, which may refuse the call",
            "container engines set one: allow the call in its profile",
        )
    })
}

/// A line of /proc/self/status.
pub(super) fn status(key: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.map(|value| value.trim().to_owned())
}
