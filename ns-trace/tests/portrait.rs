//! All that a process can be told by from outside, to compare two.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _};

use anyhow::{Context as _, Result, ensure};

use crate::facts::{SLOTS, Task};

/// Lines of /proc/PID/status that say who a process is and what it may.
const STATUS: [&str; 14] = [
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "NoNewPrivs",
    "Seccomp",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
];

/// What a process is like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Portrait {
    /// The inodes of its namespaces.
    pub(crate) namespaces: BTreeMap<&'static str, Option<u64>>,
    /// Its mounts, without the numbers that every mount namespace gives anew.
    pub(crate) mounts: Vec<String>,
    pub(crate) status: BTreeMap<&'static str, String>,
    pub(crate) environment: Vec<String>,
    pub(crate) directory: String,
    /// Device and inode of the root directory.
    pub(crate) root: (u64, u64),
    pub(crate) limits: String,
    pub(crate) cgroup: String,
    /// Which descriptors are open.
    pub(crate) descriptors: Vec<String>,
}

impl Portrait {
    /// Looks at a process.
    pub(crate) fn of(task: Task) -> Result<Self> {
        Self::at(&format!("/proc/{}", task.pid))
    }

    /// Looks at the calling thread.
    pub(crate) fn of_this_thread() -> Result<Self> {
        Self::at("/proc/thread-self")
    }

    fn at(place: &str) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("{place}/{file}");
            fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).context(path)
        };
        let inode = |slot: &&'static str| {
            let found = fs::metadata(format!("{place}/ns/{slot}"));
            (*slot, found.ok().map(|found| found.ino()))
        };
        let status = read("status")?;
        let line = |key: &&'static str| {
            let found = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            found.map(|value| (*key, value.trim().to_owned()))
        };
        let root = fs::metadata(format!("{place}/root"))?;
        let mut descriptors: Vec<_> = fs::read_dir(format!("{place}/fd"))?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        descriptors.sort();
        Ok(Self {
            namespaces: SLOTS.iter().map(inode).collect(),
            mounts: read("mountinfo")?.lines().map(mount).collect(),
            status: STATUS.iter().filter_map(line).collect(),
            environment: read("environ")?.split('\0').map(str::to_owned).collect(),
            directory: fs::read_link(format!("{place}/cwd"))?.display().to_string(),
            root: (root.dev(), root.ino()),
            limits: read("limits")?,
            cgroup: read("cgroup")?,
            descriptors,
        })
    }

    /// Checks that two are alike but for these slots, fields or lines of the status.
    pub(crate) fn expect_same(&self, other: &Self, but: &[&str]) -> Result<()> {
        let is_told = |key: &str| !but.contains(&key);
        for (slot, inode) in self.namespaces.iter().filter(|(slot, _)| is_told(slot)) {
            let theirs = other.namespaces.get(slot);
            ensure!(theirs == Some(inode), "{slot}: {inode:?}, not {theirs:?}");
        }
        for (key, value) in self.status.iter().filter(|(key, _)| is_told(key)) {
            let theirs = other.status.get(key);
            ensure!(theirs == Some(value), "{key}: {value}, not {theirs:?}");
        }
        if is_told("mounts") {
            let (more, less) =
                (beyond(&self.mounts, &other.mounts), beyond(&other.mounts, &self.mounts));
            ensure!(more.is_empty() && less.is_empty(), "mounts: {more:?}, not {less:?}");
        }
        if is_told("environment") {
            let (ours, theirs) = (&self.environment, &other.environment);
            let (more, less) = (beyond(ours, theirs), beyond(theirs, ours));
            ensure!(ours == theirs, "environment: {more:?}, not {less:?}");
        }
        let texts = [
            ("directory", &self.directory, &other.directory),
            ("limits", &self.limits, &other.limits),
            ("cgroup", &self.cgroup, &other.cgroup),
        ];
        for (key, ours, theirs) in texts.iter().filter(|(key, ..)| is_told(key)) {
            ensure!(ours == theirs, "{key}: {ours}, not {theirs}");
        }
        ensure!(
            !is_told("root") || self.root == other.root,
            "{:?}, not {:?}",
            self.root,
            other.root
        );
        let (ours, theirs) = (&self.descriptors, &other.descriptors);
        ensure!(!is_told("descriptors") || ours == theirs, "descriptors: {ours:?}, not {theirs:?}");
        Ok(())
    }
}

/// What is in the one and not in the other.
fn beyond<'a>(lines: &'a [String], others: &[String]) -> Vec<&'a String> {
    lines.iter().filter(|line| !others.contains(line)).collect()
}

/// A line of mountinfo without numbers: those of the mount, its parent, its device and its peers.
fn mount(line: &str) -> String {
    let words = line.split(' ').enumerate().filter(|(at, _)| !(0..3).contains(at));
    let words = words.map(|(_, word)| match word.split_once(':') {
        Some((peer @ ("shared" | "master" | "propagate_from"), _)) => peer,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
