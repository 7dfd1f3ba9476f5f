//! Mounts that keep a namespace: bind mounts of nsfs, and procfs.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rustc_hash::FxHashMap;

use super::{crowd, files::namespace, tasks::inode};
use crate::{
    model::{Holder, Kinds, NsRef, NsRow},
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

/// What was mounted in each mount namespace when it was last looked through, by inode.
#[derive(Debug, Default)]
pub struct Remembered(FxHashMap<u32, Visit>);

impl Remembered {
    /// Through whose eyes each was seen, by inode.
    #[must_use]
    pub fn witnesses(&self) -> FxHashMap<u32, u32> {
        self.0.iter().map(|(inode, visit)| (*inode, visit.pid)).collect()
    }
}

/// A look through a mount namespace.
#[derive(Debug)]
struct Visit {
    ns: NsRef,
    /// What has changed since if something was mounted or unmounted.
    event: Option<u64>,
    /// Through whose eyes.
    pid: u32,
    held: Vec<(NsRef, Holder)>,
}

/// Looks through the given mount namespaces, each through the eyes of one process in it; not again
/// where by what `now` says nothing has changed. Told is what holds namespaces of these kinds.
pub(super) fn scan(
    mnt: &[&NsRow],
    kinds: Kinds,
    now: impl Fn(&NsRef) -> Option<u64> + Sync,
    remembered: &Mutex<Remembered>,
) -> Vec<(NsRef, Holder)> {
    let Remembered(mut visits) =
        std::mem::take(&mut *remembered.lock().unwrap_or_else(PoisonError::into_inner));
    let is_same = |row: &&&NsRow| {
        visits.get(&row.info.inode).is_some_and(|visit| {
            visit.ns == row.info.to_ref()
                && visit.event == now(&visit.ns)
                && row.tasks().any(|pid| pid == visit.pid)
        })
    };
    let (same, changed): (Vec<&NsRow>, Vec<&NsRow>) = mnt.iter().partition(is_same);
    let begin = || (FxHashMap::default(), Vec::new());
    let workers = crowd::share(&changed, begin, |(procfs, found), row| {
        found.extend(visit(row, now(&row.info.to_ref()), procfs));
    });
    let mut kept: FxHashMap<_, _> =
        same.iter().filter_map(|row| visits.remove_entry(&row.info.inode)).collect();
    let found = workers.into_iter().flat_map(|(_, found)| found);
    kept.extend(found.map(|visit| (visit.ns.inode, visit)));
    let held = kept.values().flat_map(|visit| &visit.held);
    let held = held.filter(|(ns, _)| kinds.contains(ns.kind)).cloned().collect();
    // Where nothing tells of changes, there is nothing to remember.
    kept.retain(|_, visit| visit.event.is_some());
    remembered.lock().unwrap_or_else(PoisonError::into_inner).0 = kept;
    held
}

/// By the device number of a procfs the pid namespace that it shows.
type Procfs = FxHashMap<u64, Option<NsRef>>;

fn visit(row: &NsRow, event: Option<u64>, procfs: &mut Procfs) -> Option<Visit> {
    let pid = witness(row)?;
    // It may be gone, or have moved on, by now; then what it sees is not of this namespace.
    let mounts = mounts::of(pid).unwrap_or_default();
    let link = fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap_or_default();
    if inode(link.as_os_str().as_encoded_bytes()) != Some(row.info.inode) {
        return None;
    }
    let mnt_ns = row.info.to_ref();
    let mut held = Vec::new();
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
    Some(Visit { ns: mnt_ns, event, pid, held })
}

/// A process or thread in it, if possible one that sees its mounts from the root: mountinfo leaves
/// out what a process cannot reach after chroot(2).
fn witness(row: &NsRow) -> Option<u32> {
    let mut candidates = row.tasks().take(CANDIDATES);
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
