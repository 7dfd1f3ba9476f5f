//! The namespaces that /proc shows, those of tasks, of descriptors and of mounts, and those that the
//! kernel lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use ns_trace::{discover, model::Want};

use crate::{actor::syscall, scene::boot_ns};

/// A namespace by type and inode: enough among those that are alive.
pub(super) type Name = (String, u64);

/// The world at one moment.
#[derive(Debug, Default)]
pub(super) struct World {
    /// When, on the boot clock.
    pub(super) at: u64,
    /// What was there, in both of two looks.
    pub(super) stays: BTreeSet<Name>,
    /// What was there in either.
    pub(super) seen: BTreeSet<Name>,
    /// What a fresh discovery found, both times the same.
    pub(super) found: BTreeMap<Name, Found>,
    /// The ids that the kernel listed both times; none where it lists none (before 6.19).
    pub(super) listed: BTreeSet<u64>,
    /// All threads, a little later.
    pub(super) tasks: BTreeSet<u64>,
}

impl World {
    /// One look.
    pub(super) fn scan() -> Self {
        Self::look(Duration::ZERO)
    }

    /// Looks twice, so that what comes and goes meanwhile does not count.
    pub(super) fn look(pause: Duration) -> Self {
        let (first, listed, found) = (names(), ids(), discovered());
        thread::sleep(pause);
        let at = boot_ns();
        let (second, mut again) = (names(), discovered());
        again.retain(|name, what| found.get(name) == Some(what));
        Self {
            at,
            stays: first.intersection(&second).cloned().collect(),
            seen: first.union(&second).cloned().collect(),
            found: again,
            listed: listed.intersection(&ids()).copied().collect(),
            tasks: tasks(),
        }
    }
}

/// What the product itself finds of a namespace without having seen its birth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// The kernel's number, if it has one.
    pub(super) id: Option<u64>,
    /// Its owner and its parent.
    pub(super) keeps: Vec<Name>,
}

/// A fresh discovery, with all that /proc and the namespaces tell.
fn discovered() -> BTreeMap<Name, Found> {
    let world = discover::look(&Want::ALL).unwrap_or_default();
    let name = |ns: ns_trace::model::NsRef| (ns.kind.name().to_owned(), u64::from(ns.inode));
    let rows = world.namespaces.into_iter().map(|row| {
        let keeps = [row.info.owner, row.info.parent].into_iter().flatten().map(name).collect();
        (name(row.info.to_ref()), Found { id: row.info.id, keeps })
    });
    rows.collect()
}

/// Every active namespace by its id.
fn ids() -> BTreeSet<u64> {
    syscall::list(0).unwrap_or_default().into_iter().collect()
}

/// All that /proc shows.
fn names() -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for pid in pids() {
        // Threads may differ from each other, in namespaces as in descriptors.
        for task in entries(&format!("/proc/{pid}/task")) {
            let task = format!("/proc/{pid}/task/{task}");
            for directory in ["ns", "fd"] {
                let directory = format!("{task}/{directory}");
                names.extend(entries(&directory).iter().filter_map(|entry| {
                    let link = fs::read_link(Path::new(&directory).join(entry)).ok()?;
                    name(link.to_str()?)
                }));
            }
            // nsfs mounts show what they hold as their root.
            let mounts = fs::read_to_string(format!("{task}/mountinfo")).unwrap_or_default();
            names.extend(mounts.lines().filter_map(|line| name(line.split(' ').nth(3)?)));
        }
    }
    names
}

/// All threads of all processes.
fn tasks() -> BTreeSet<u64> {
    let tasks = |pid: &u32| entries(&format!("/proc/{pid}/task"));
    pids().iter().flat_map(tasks).filter_map(|tid| tid.parse().ok()).collect()
}

/// All processes.
pub(super) fn pids() -> Vec<u32> {
    entries("/proc").iter().filter_map(|entry| entry.parse().ok()).collect()
}

/// What is in a directory; nothing if it is gone or out of reach.
fn entries(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Reads `uts:[4026531838]`.
fn name(link: &str) -> Option<Name> {
    let (kind, rest) = link.split_once(":[")?;
    let inode = rest.strip_suffix(']')?.parse().ok()?;
    let kinds = ["mnt", "pid", "ipc", "uts", "net", "user", "cgroup", "time"];
    kinds.contains(&kind).then(|| (kind.to_owned(), inode))
}

/// Only links to namespaces are, and the own ones are found.
pub(super) fn links_are_read() -> Result<()> {
    ensure!(name("uts:[4026531838]") == Some(("uts".to_owned(), 4_026_531_838)));
    ensure!(name("socket:[12]").is_none() && name("/dev/null").is_none());
    let link = fs::read_link("/proc/self/ns/uts")?;
    let own = link.to_str().and_then(name);
    ensure!(own.is_some_and(|own| World::scan().seen.contains(&own)), "{}", link.display());
    Ok(())
}
