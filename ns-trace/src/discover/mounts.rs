//! Mounts that keep a namespace: bind mounts of nsfs, and procfs.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, sync::Arc};

use rustc_hash::FxHashMap;

use super::{crowd, files::namespace, tasks::inode};
use crate::{
    model::{Holder, NsRef, NsRow},
    sys::mounts,
};

/// How many processes of a mount namespace are tried for one that sees all of its mounts.
const CANDIDATES: usize = 16;

/// How many processes of a procfs are tried for one that tells whose it is.
const SHOWN: usize = 8;

/// The namespaces that are mounted in our own mount namespace: where, in the order of the kernel.
pub(super) fn own() -> Vec<(NsRef, PathBuf)> {
    let mounts = mounts::all().unwrap_or_default().into_iter();
    let mounts = mounts.filter(|mount| mount.kind == "nsfs");
    mounts.filter_map(|mount| Some((namespace(mount.root.as_bytes())?, mount.place))).collect()
}

/// Looks through the given mount namespaces, each through the eyes of one process in it.
pub(super) fn scan(mnt: &[&NsRow]) -> Vec<(NsRef, Holder)> {
    let begin = || (FxHashMap::default(), Vec::new());
    let workers = crowd::share(mnt, begin, |(procfs, held), row| visit(row, procfs, held));
    workers.into_iter().flat_map(|(_, held)| held).collect()
}

/// By the device number of a procfs the pid namespace that it shows.
type Procfs = FxHashMap<u64, Option<NsRef>>;

fn visit(row: &NsRow, procfs: &mut Procfs, held: &mut Vec<(NsRef, Holder)>) {
    let Some(pid) = witness(row) else {
        return;
    };
    // It may be gone, or have moved on, by now; then what it sees is not of this namespace.
    let mounts = mounts::of(pid).unwrap_or_default();
    let link = fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap_or_default();
    if inode(link.as_os_str().as_encoded_bytes()) != Some(row.info.inode) {
        return;
    }
    let mnt_ns = row.info.to_ref();
    for mount in mounts {
        if mount.kind == "nsfs" {
            if let Some(ns) = namespace(mount.root.as_bytes()) {
                let path = Arc::new(mount.place);
                held.push((ns, Holder::Mount { path, mnt_ns, pid }));
            }
        } else if mount.kind == "proc" {
            let ns = *procfs.entry(mount.device).or_insert_with(|| {
                shown(&format!("/proc/{pid}/root{}", mount.place.display()), mount.device)
            });
            if let Some(ns) = ns {
                let path = Arc::new(mount.place);
                held.push((ns, Holder::ProcMount { path, mnt_ns, pid }));
            }
        }
    }
}

/// A process or thread in it, if possible one that sees its mounts from the root: mountinfo leaves
/// out what a process cannot reach after chroot(2).
fn witness(row: &NsRow) -> Option<u32> {
    let threads = row.holders.iter().filter_map(|holder| match holder {
        Holder::Thread { tid, .. } => Some(*tid),
        _ => None,
    });
    let mut candidates = row.processes.iter().copied().chain(threads).take(CANDIDATES);
    let first = candidates.next()?;
    let whole = |pid: &u32| {
        fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root.as_os_str() == "/")
    };
    Some(std::iter::once(first).chain(candidates).find(whole).unwrap_or(first))
}

/// The pid namespace that the procfs at `place` shows: it is that of every process in it which has
/// but one number there.
fn shown(place: &str, device: u64) -> Option<NsRef> {
    // Something else may be mounted over it.
    if fs::metadata(place).ok()?.dev() != device {
        return None;
    }
    let entries = fs::read_dir(place).ok()?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.take(SHOWN).find_map(|pid| {
        let status = fs::read_to_string(format!("{place}/{pid}/status")).ok()?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        if numbers.split_whitespace().count() != 1 {
            return None;
        }
        let link = fs::read_link(format!("{place}/{pid}/ns/pid")).ok()?;
        namespace(link.as_os_str().as_encoded_bytes())
    })
}
