//! Why somebody cannot become somebody else.

use std::fs;

use rustix::{io::Errno, thread::CapabilitySet};

use super::{super::Reason, lacks};

/// Of the supplementary groups.
pub(in crate::plan) fn of_groups(error: Errno) -> Option<Reason> {
    if error != Errno::PERM {
        return None;
    }
    let denied = fs::read_to_string("/proc/self/setgroups");
    if denied.is_ok_and(|word| word.trim() == "deny") {
        return Some(Reason::new(
            "setgroups is denied in this user namespace, as it is where only the own group is mapped",
            "map groups by ranges: --map-auto, --map-groups",
        ));
    }
    lacks("CAP_SETGID", CapabilitySet::SETGID, "run it as root").or_else(|| {
        Some(Reason::new(
            "this user namespace has no gid_map yet",
            "map groups: --map-root-user, --map-auto",
        ))
    })
}

/// Of one user or group.
pub(in crate::plan) fn of_identity(map: &str, id: u32, error: Errno) -> Option<Reason> {
    match error {
        Errno::INVAL => {
            let lines = fs::read_to_string(format!("/proc/self/{map}")).unwrap_or_default();
            let lines: Vec<_> = lines
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            let lines = if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") };
            Some(Reason::new(
                format!("{id} is not in this user namespace: {map} has {lines}"),
                "map it: --map-users, --map-groups, --map-auto",
            ))
        }
        Errno::PERM if map == "gid_map" => {
            lacks("CAP_SETGID", CapabilitySet::SETGID, "run it as root")
        }
        Errno::PERM => lacks("CAP_SETUID", CapabilitySet::SETUID, "run it as root"),
        _ => None,
    }
}

/// Of chroot(2).
pub(in crate::plan) fn of_root(error: Errno) -> Option<Reason> {
    let hint = "run it as root, or add a user namespace: --user --map-root-user (-Ur)";
    (error == Errno::PERM)
        .then(|| lacks("CAP_SYS_CHROOT", CapabilitySet::SYS_CHROOT, hint))
        .flatten()
}
