//! What a program in a named network namespace finds: its /sys, its files in /etc.

use std::{
    ffi::OsStr,
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, StatVfsMountFlags, statvfs},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
        mount_bind, mount_change, move_mount, open_tree, unmount,
    },
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{Problem, shown, words};
use crate::{
    model::Kind,
    name::Names,
    report::Class,
    sys::{mounts, unshare::unshare},
};

/// Files that are shown in place of those in /etc, one directory a name.
const FILES: &str = "/etc/netns";

/// Moves this process into a named network namespace, and a mount namespace of its own.
pub(super) fn enter(name: &OsStr) -> Result<(), Problem> {
    let file = Names::of(Kind::Net).open(name)?;
    leave_vrf();
    let below_sys = below_sys();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|errno| {
        let error = io::Error::from(errno);
        let sentence = format!("setting the network namespace \"{}\" failed", shown(name));
        privileged(Problem::new(format!("{sentence}: {}", words(&error))), errno)
    })?;
    let told =
        |what: &str, error: &io::Error| Problem::new(format!("{what} failed: {}", words(error)));
    unshare(&[Kind::Mnt]).map_err(|error| told("unshare of the mount namespace", &error))?;
    // What is mounted in here stays in here; what is mounted outside still shows up.
    let downstream = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", downstream)
        .map_err(|errno| told("\"mount --make-rslave /\"", &errno.into()))?;
    renew_sys(name, &below_sys);
    bind_files(name);
    Ok(())
}

fn privileged(problem: Problem, errno: Errno) -> Problem {
    if errno != Errno::PERM {
        return problem;
    }
    problem.status(Class::Privilege.code()).hint(
        "it takes CAP_SYS_ADMIN in the own user namespace and in the one that owns the network namespace",
    )
}

/// Where something is mounted directly below /sys: cgroups, bpf, tracing.
fn below_sys() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    for mount in mounts::all().unwrap_or_default() {
        let is_below = mount.place.starts_with("/sys") && mount.place != Path::new("/sys");
        if is_below && !places.iter().any(|place| mount.place.starts_with(place)) {
            places.push(mount.place);
        }
    }
    places
}

/// Mounts a sysfs of the new network namespace in place of the old one, and on it what was mounted
/// on the old one.
fn renew_sys(name: &OsStr, below: &[PathBuf]) {
    let fresh = match sysfs(name) {
        Ok(fresh) => fresh,
        Err(errno) => {
            // Only root of the machine may mount one where another is hidden in part.
            let error = io::Error::from(errno);
            return warn(&format!(
                "/sys still shows the former network namespace: mount of sysfs failed: {}",
                words(&error)
            ));
        }
    };
    let clone = |place: &PathBuf| {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        open_tree(CWD, place, flags)
    };
    let clones: Vec<_> = below.iter().map(|place| (place, clone(place))).collect();
    // There may be none.
    let _gone = unmount("/sys", UnmountFlags::DETACH);
    if let Err(errno) = attach(&fresh, Path::new("/sys")) {
        return warn(&format!("mount of /sys failed: {}", words(&errno.into())));
    }
    for (place, clone) in clones {
        if let Err(errno) = clone.and_then(|clone| attach(&clone, place)) {
            let error = io::Error::from(errno);
            warn(&format!("{} is not mounted in there: {}", place.display(), words(&error)));
        }
    }
}

/// A sysfs that is mounted nowhere yet, read-only if /sys is.
fn sysfs(name: &OsStr) -> Result<OwnedFd, Errno> {
    let is_read_only =
        statvfs("/sys").is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY));
    let context = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Seen in mountinfo, as with ip(8).
    fsconfig_set_string(context.as_fd(), "source", name)?;
    fsconfig_create(context.as_fd())?;
    let attributes =
        if is_read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn attach(tree: &OwnedFd, place: &Path) -> Result<(), Errno> {
    move_mount(tree, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Shows the files of `/etc/netns/NAME` in place of those in /etc.
fn bind_files(name: &OsStr) {
    let Ok(entries) = fs::read_dir(Path::new(FILES).join(name)) else { return };
    for entry in entries.flatten() {
        let (source, target) = (entry.path(), Path::new("/etc").join(entry.file_name()));
        if let Err(errno) = mount_bind(&source, &target) {
            let error = io::Error::from(errno);
            let (source, target) = (shown(source.as_os_str()), shown(target.as_os_str()));
            warn(&format!("Bind {source} -> {target} failed: {}", words(&error)));
        }
    }
}

/// Leaves the cgroup by which `ip vrf exec` ties sockets to a routing domain of the old namespace.
fn leave_vrf() {
    let Ok(text) = fs::read_to_string("/proc/self/cgroup") else { return };
    let path = text.lines().find_map(|line| line.strip_prefix("0::"));
    let Some((above, _)) = path.and_then(|path| path.split_once("/vrf/")) else { return };
    let Some(root) = crate::sys::cgroup::mount_point() else { return };
    let file = format!("{}{above}/cgroup.procs", root.display());
    if let Err(error) = fs::write(&file, "0") {
        warn(&format!("cannot leave the cgroup of a VRF: {file}: {}", words(&error)));
    }
}

#[expect(clippy::print_stderr, reason = "what does not keep the program from running")]
fn warn(sentence: &str) {
    eprintln!("ns-trace: {sentence}");
}
