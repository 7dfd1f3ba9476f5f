//! What exists at one moment: the namespaces, and the processes that are in them.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

#[cfg(doc)]
use super::Want;
use super::{Cause, Creator, Holder, Kind, NsInfo, NsRef, Slot, Slots, text};

/// What exists at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// The namespaces, by inode and then by kind.
    pub namespaces: Vec<NsRow>,
    /// The processes, by number.
    pub processes: Vec<ProcessRow>,
    /// How many processes did not let their namespaces be read; they are among `processes`, without
    /// any.
    pub unreadable: u32,
}

/// One namespace.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct NsRow {
    /// What it is, and its place among the others.
    pub info: NsInfo,
    /// The user who made the user namespace that owns it, as the looker's user namespace numbers
    /// users (`NS_GET_OWNER_UID`); of a user namespace the user who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_uid: Option<u32>,
    /// The processes whose first thread is in it, ascending. In a pid or time namespace are those
    /// that were born into it, not those whose children will be.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub processes: SmallVec<[u32; 4]>,
    /// How many processes those are. Where [`Want::first`] was asked for, `processes` may have but
    /// the first of them.
    pub nprocs: u32,
    /// How many threads are in it, those of `processes` included.
    pub threads: u32,
    /// What else keeps it, sorted; only if it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Holder>,
    /// Where it is mounted in our own mount namespace, in the order of the mounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "text::paths")]
    pub nsfs: Vec<PathBuf>,
    /// The number by which our own network namespace knows it (`RTM_GETNSID`), -1 if it has none;
    /// only if it was asked for, and of network namespaces only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netnsid: Option<i32>,
    /// How its users are mapped, only if it was asked for and of user namespaces with a visible
    /// process only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maps: Option<Maps>,
    /// Who made it; unknown unless a tracer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<Arc<Creator>>,
    /// What made it; unknown unless a tracer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// When it was freed: nanoseconds of the boot clock. Such a row is kept for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died: Option<u64>,
}

/// How much life is in a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Life {
    /// It has processes.
    Active,
    /// It has none, but something keeps it.
    Held,
    /// It was freed.
    Dead,
}

impl Life {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Active, Self::Held, Self::Dead];

    /// The name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Held => "held",
            Self::Dead => "dead",
        }
    }
}

impl NsRow {
    /// How much life is in it.
    #[must_use]
    pub fn life(&self) -> Life {
        if self.died.is_some() {
            Life::Dead
        } else if self.processes.is_empty() {
            Life::Held
        } else {
            Life::Active
        }
    }
}

/// The maps of a user namespace (`user_namespaces(7)`).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Maps {
    /// `uid_map`, as the looker's user namespace sees it.
    pub users: Vec<MapLine>,
    /// `gid_map`.
    pub groups: Vec<MapLine>,
}

/// One line of a map: `count` numbers from `inside` on are those from `outside` on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MapLine {
    /// The first number in the namespace.
    pub inside: u32,
    /// The first number outside of it.
    pub outside: u32,
    /// How many there are.
    pub count: u32,
}

/// One process.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Its number in the looker's pid namespace.
    pub pid: u32,
    /// Its parent's number, 0 if that is out of sight.
    pub ppid: u32,
    /// The effective user of its first thread, who owns `/proc/<pid>`.
    pub uid: u32,
    /// The name of its first thread.
    pub comm: Arc<str>,
    /// How many threads it has.
    pub count: u32,
    /// What it runs, as far as a tracer has seen or read it: its arguments at its last execve(2), or
    /// that of the process that it was forked from. A look at /proc leaves that to whoever shows it.
    #[serde(skip)]
    pub args: Option<Arc<[String]>>,
    /// The namespaces of its first thread, those that were asked for. A zombie has but user and pid;
    /// `pid_for_children` is unknown to /proc while that namespace has no process yet.
    #[serde(default, skip_serializing_if = "Slots::is_unknown")]
    pub slots: Slots,
    /// The threads whose namespaces differ from the first one's, by number; only if asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<ThreadRow>,
}

impl ProcessRow {
    /// Whether it has ended and its parent has not waited for it yet: a zombie keeps no namespaces but
    /// those of its number and its credentials. Unknown of one that must not be looked into.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let has = |slot| self.slots.get(slot).is_some();
        has(Slot::User) && !has(Slot::Mnt) && !has(Slot::Net) && self.threads.is_empty()
    }
}

/// A thread that is elsewhere than the first one of its process.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ThreadRow {
    /// Its number.
    pub tid: u32,
    /// Its name.
    pub comm: Arc<str>,
    /// Its namespaces.
    pub slots: Slots,
}

impl NsRow {
    /// A namespace of which nothing else is known yet.
    #[must_use]
    pub const fn new(ns: NsRef) -> Self {
        Self {
            info: NsInfo {
                kind: ns.kind,
                inode: ns.inode,
                id: ns.id,
                initial: ns.initial,
                born: None,
                owner: None,
                parent: None,
                level: None,
            },
            owner_uid: None,
            processes: SmallVec::new_const(),
            nprocs: 0,
            threads: 0,
            holders: Vec::new(),
            nsfs: Vec::new(),
            netnsid: None,
            maps: None,
            creator: None,
            cause: None,
            died: None,
        }
    }

    /// Whoever is in it: its processes, and threads of which the first of their process is not.
    pub fn tasks(&self) -> impl Iterator<Item = u32> {
        let threads = self.holders.iter().filter_map(|holder| match holder {
            Holder::Thread { tid, .. } => Some(*tid),
            _ => None,
        });
        self.processes.iter().copied().chain(threads)
    }
}

impl World {
    /// The namespace of that kind and inode.
    #[must_use]
    pub fn namespace(&self, kind: Kind, inode: u32) -> Option<&NsRow> {
        let key = (inode, kind);
        let at = self.namespaces.binary_search_by_key(&key, |row| (row.info.inode, row.info.kind));
        at.ok().map(|at| &self.namespaces[at])
    }

    /// The process of that number.
    #[must_use]
    pub fn process(&self, pid: u32) -> Option<&ProcessRow> {
        let at = self.processes.binary_search_by_key(&pid, |row| row.pid);
        at.ok().map(|at| &self.processes[at])
    }
}
