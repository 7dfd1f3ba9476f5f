//! Why there are no new namespaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use rustix::{
    io::Errno,
    process::{Resource, getegid, geteuid, getrlimit},
    thread::CapabilitySet,
};

use super::{super::Reason, filter, lacks, status};
use crate::{
    model::{Flags, Kind},
    sys::setting,
};

/// Settings that keep processes without capabilities from making user namespaces: the name, the
/// value, and whose it is.
const GATES: [(&str, &str, &str); 2] = [
    ("kernel.unprivileged_userns_clone", "0", "a setting of Debian and Ubuntu"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "a setting of AppArmor"),
];

/// How many users are named that have many namespaces.
const MOST: usize = 3;

/// Of unshare(2), or of clone3(2) with flags.
pub(in crate::plan) fn of_unshare(flags: Flags, error: Errno) -> Option<Reason> {
    match error {
        Errno::PERM if flags.contains(Kind::User) => {
            gate().or_else(unmapped).or_else(chrooted).or_else(filter)
        }
        Errno::PERM => lacks(
            "CAP_SYS_ADMIN",
            CapabilitySet::SYS_ADMIN,
            "run it as root, or add a user namespace: --user --map-root-user (-Ur)",
        )
        .or_else(filter),
        Errno::NOSPC | Errno::USERS => Some(limit(flags)),
        Errno::INVAL => threads().or_else(|| left(flags)).or_else(|| unknown(flags)),
        Errno::NOMEM if flags.contains(Kind::Pid) => Some(dead_pid_namespace()),
        _ => None,
    }
}

/// Of a fork.
pub(in crate::plan) fn of_fork(error: Errno) -> Option<Reason> {
    match error {
        Errno::NOMEM => Some(dead_pid_namespace()),
        Errno::AGAIN => {
            let limit = getrlimit(Resource::Nproc).current;
            let limit = limit.map_or("without limit".to_owned(), |limit| limit.to_string());
            Some(Reason::new(
                format!(
                    "the processes of user {} (RLIMIT_NPROC is {limit}), of the cgroup \
                     (pids.max) or of the system (kernel.pid_max) are used up",
                    geteuid().as_raw()
                ),
                "end some, or raise that limit",
            ))
        }
        _ => None,
    }
}

fn dead_pid_namespace() -> Reason {
    Reason::new(
        "the first process of the pid namespace for children has ended, and no other can begin there",
        "a command that starts others before needs --fork",
    )
}

fn gate() -> Option<Reason> {
    if !super::holds(CapabilitySet::SYS_ADMIN) {
        for (name, closed, whose) in GATES {
            if setting::read(name).is_ok_and(|value| value == closed) {
                let open = if closed == "0" { "1" } else { "0" };
                return Some(Reason::new(
                    format!(
                        "{name} is {closed} ({whose}): only processes with CAP_SYS_ADMIN may make \
                         user namespaces"
                    ),
                    format!("as root: sysctl {name}={open}"),
                ));
            }
        }
    }
    None
}

/// Who has no number in the own user namespace may make none below it (`create_user_ns` of
/// `kernel/user_namespace.c`).
fn unmapped() -> Option<Reason> {
    for (file, id) in [("uid_map", geteuid().as_raw()), ("gid_map", getegid().as_raw())] {
        let map = fs::read_to_string(format!("/proc/self/{file}")).ok()?;
        let has = |line: &str| {
            let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().ok());
            let (first, _, count) = (numbers.next()??, numbers.next(), numbers.next()??);
            Some((first..first.saturating_add(count)).contains(&u64::from(id)))
        };
        if !map.lines().any(|line| has(line) == Some(true)) {
            return Some(Reason::new(
                format!("{id} is not in /proc/self/{file} of this user namespace"),
                "map it first: whoever made this namespace has to",
            ));
        }
    }
    None
}

/// In a chroot no user namespace can be made (`current_chrooted` of fs/namespace.c).
fn chrooted() -> Option<Reason> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let has_root = mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"));
    (!has_root).then(|| {
        Reason::new(
            "this process is in a chroot, from where no user namespace can be made",
            "leave it, or use pivot_root(8) for it",
        )
    })
}

fn limit(flags: Flags) -> Reason {
    let limits: Vec<_> = flags
        .kinds()
        .filter_map(|kind| {
            let name = format!("user.max_{}_namespaces", kind.name());
            Some((kind, setting::read(&name).ok()?, name))
        })
        .collect();
    let uid = geteuid().as_raw();
    if let Some((kind, _, name)) = limits.iter().find(|(_, limit, _)| limit == "0") {
        return Reason::new(
            format!("{name} is 0: {} namespaces are forbidden here", kind.name()),
            format!("as root: sysctl {name}=1000"),
        );
    }
    let told: Vec<_> = limits.iter().map(|(_, limit, name)| format!("{name} is {limit}")).collect();
    let nested = if flags.contains(Kind::User) || flags.contains(Kind::Pid) {
        ", or they are nested more than 32 deep"
    } else {
        ""
    };
    Reason::new(
        format!(
            "user {uid} has used up what is allowed here or in a user namespace above ({}){nested}{}",
            told.join(", "),
            who_has_them(flags),
        ),
        "`ns-trace list` shows who has them; raise the limit with sysctl, as root",
    )
}

/// Whose processes are in how many namespaces of these types, as far as they may be looked into.
fn who_has_them(flags: Flags) -> String {
    let mut seen: BTreeMap<(Kind, u32), BTreeSet<u64>> = BTreeMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in
        processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
    {
        let Ok(owner) = process.metadata() else { continue };
        for kind in flags.kinds() {
            if let Ok(ns) = fs::metadata(process.path().join("ns").join(kind.name())) {
                seen.entry((kind, owner.uid())).or_default().insert(ns.ino());
            }
        }
    }
    let mut most: Vec<_> = seen.iter().map(|((kind, uid), all)| (all.len(), kind, uid)).collect();
    most.sort_unstable_by(|one, other| other.cmp(one));
    let told: Vec<_> = most
        .iter()
        .take(MOST)
        .map(|(count, kind, uid)| format!("user {uid} in {count} {} namespaces", kind.name()))
        .collect();
    if told.is_empty() { String::new() } else { format!("; processes of {}", told.join(", of ")) }
}

/// A pid namespace is made below that of the process, which must still be that of its children
/// (`copy_pid_ns` of `kernel/pid_namespace.c`).
fn left(flags: Flags) -> Option<Reason> {
    let [own, children] = ["pid", "pid_for_children"].map(|name| {
        let found = fs::read_link(format!("/proc/self/ns/{name}"));
        found.ok()
    });
    (flags.contains(Kind::Pid) && own.is_some() && own != children).then(|| {
        Reason::new(
            "the pid namespace for children is another than the own one already",
            "make it from a process in there: `ns-trace enter ... -- ns-trace create --pid --fork`",
        )
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

fn unknown(flags: Flags) -> Option<Reason> {
    let missing = flags.kinds().find(|kind| {
        !Path::new("/proc/self/ns").join(kind.name()).exists()
            && Path::new("/proc/self/ns/mnt").exists()
    });
    if let Some(kind) = missing {
        return Some(Reason::new(
            format!("this kernel has no {} namespaces", kind.name()),
            "`ns-trace doctor` shows what it has",
        ));
    }
    (flags.rest() != 0).then(|| {
        Reason::new(format!("the kernel does not take the flags {:#x} there", flags.rest()), "")
    })
}
