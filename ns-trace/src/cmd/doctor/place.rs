//! The place where ns-trace runs: its process, the settings and the file systems around it.

use std::{io, path::Path};

use rustix::process::{geteuid, getuid};

use super::report::{
    Capability, Cgroup, Feature, FileSystems, Mounted, Namespace, Pins, Process, Setting,
};
use crate::{
    model::Kind,
    probe::pins,
    sys::{capability, mounts::Mount, nsfs, process, setting, tracefs::Tracefs},
};

pub(super) fn process() -> Process {
    let capability = |required| {
        move |needed: &capability::Needed| Capability {
            name: needed.name,
            held: capability::held(needed),
            required,
            purpose: needed.purpose,
        }
    };
    let required = capability::TRACE.iter().map(capability(true));
    Process {
        uid: getuid().as_raw(),
        euid: geteuid().as_raw(),
        capabilities: required.chain(capability::MORE.iter().map(capability(false))).collect(),
        memlock_bytes: setting::memory_lock_limit(),
        namespaces: Kind::ALL.map(namespace).into(),
    }
}

fn namespace(kind: Kind) -> Namespace {
    let name = kind.name();
    let inode = process::own_namespace(name).ok();
    let initial = process::initial_namespace(name);
    let limit = setting::read(&format!("user.max_{name}_namespaces"));
    Namespace {
        kind: name,
        inode,
        initial: inode.zip(initial).map(|(own, initial)| own == initial),
        limit: limit.ok().and_then(|limit| limit.parse().ok()),
    }
}

/// The settings, and what each of their values means.
#[rustfmt::skip]
const SETTINGS: [(&str, &str); 5] = [
    ("kernel.unprivileged_bpf_disabled", "0 lets everybody load some BPF programs; what ns-trace loads needs capabilities anyway"),
    ("kernel.perf_event_paranoid", "who may use tracepoints; with CAP_PERFMON it does not matter"),
    ("net.core.bpf_jit_enable", "0 makes every probe many times slower"),
    ("net.core.bpf_jit_harden", "2 makes the probes a little slower"),
    ("kernel.unprivileged_userns_clone", "0 makes user namespaces fail for everybody but root (Debian)"),
];

pub(super) fn settings() -> Vec<Setting> {
    let read = |(name, meaning)| match setting::read(name) {
        // Most kernels have none of that name.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        result => Some(Setting { name, value: result.ok(), meaning }),
    };
    SETTINGS.into_iter().filter_map(read).collect()
}

pub(super) fn file_systems(mounts: &[Mount]) -> FileSystems {
    let detached = match Tracefs::open() {
        Ok(_) => Some(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
        Err(_) => Some(false),
    };
    let mounted = |kind| Mounted { kind, places: places(mounts, kind) };
    FileSystems {
        detached_tracefs: detached,
        mounts: ["tracefs", "debugfs", "bpf", "securityfs", "nsfs"].map(mounted).into(),
    }
}

fn places(mounts: &[Mount], kind: &str) -> Vec<String> {
    let found = mounts.iter().filter(|mount| mount.kind == kind);
    found.map(|mount| mount.place.display().to_string()).collect()
}

/// Looks at where probes would be pinned unless the configuration names another place.
pub(super) fn pins() -> Pins {
    let directory = Path::new(pins::DIRECTORY);
    let obstacle = pins::obstacle(directory);
    let sets = pins::sets(directory).unwrap_or_default();
    Pins {
        directory: directory.display().to_string(),
        available: obstacle.is_none(),
        obstacle: obstacle.map(|obstacle| obstacle.to_string()),
        sets: sets.iter().map(|set| set.display().to_string()).collect(),
    }
}

pub(super) fn cgroup(mounts: &[Mount]) -> Cgroup {
    let unified = places(mounts, "cgroup2").into_iter().next();
    let legacy = places(mounts, "cgroup");
    let layout = match (&unified, legacy.is_empty()) {
        (Some(_), true) => "v2",
        (Some(_), false) => "hybrid",
        (None, false) => "v1",
        (None, true) => "none",
    };
    Cgroup { layout, unified, legacy }
}

pub(super) fn nsfs() -> Vec<Feature> {
    let feature = |name, since, result: io::Result<()>| Feature {
        name,
        since,
        present: match result {
            Ok(()) => Some(true),
            Err(error) => is_absence(&error).then_some(false),
        },
    };
    vec![
        feature("NS_GET_USERNS", "4.9", nsfs::own_owner()),
        feature("NS_GET_ID", "6.18", nsfs::own_id().map(drop)),
        feature("file handles", "6.18", nsfs::own_handle()),
        feature("listns", "6.19", nsfs::list().map(drop)),
    ]
}

/// Whether the kernel said that it does not know what was asked of it.
fn is_absence(error: &io::Error) -> bool {
    let known = [libc::ENOTTY, libc::ENOSYS, libc::EOPNOTSUPP, libc::EINVAL];
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error().is_some_and(|number| known.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(kinds: &[&str]) -> Vec<Mount> {
        let mount = |kind: &&str| Mount {
            kind: (*kind).to_owned(),
            root: "/".to_owned(),
            device: 0,
            place: format!("/{kind}").into(),
            options: String::new(),
        };
        kinds.iter().map(mount).collect()
    }

    #[test]
    fn the_layout_of_cgroups_follows_from_the_mounts() {
        for (kinds, layout) in [
            (&["proc"][..], "none"),
            (&["cgroup", "cgroup"], "v1"),
            (&["cgroup2"], "v2"),
            (&["cgroup", "cgroup2"], "hybrid"),
        ] {
            assert_eq!(cgroup(&mounts(kinds)).layout, layout);
        }
        assert_eq!(cgroup(&mounts(&["cgroup2"])).unified.as_deref(), Some("/cgroup2"));
    }
}
