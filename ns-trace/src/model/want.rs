//! What is asked of a look at the system.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Holder;
use super::{Column, Kind, Slot};

/// What is to be found out: the less, the quicker.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Want {
    /// Which kinds of namespaces.
    pub kinds: Kinds,
    /// The slots for children too: [`Holder::ForChildren`].
    pub children: bool,
    /// Threads that are elsewhere than the first one of their process: [`Holder::Thread`].
    pub threads: bool,
    /// Open files and sockets and attached memory: [`Holder::Fd`], [`Holder::Socket`],
    /// [`Holder::File`], [`Holder::Memory`], and what only they hold.
    pub files: bool,
    /// Of which kinds of namespaces it is looked for which open files and mounts hold them.
    pub held: Kinds,
    /// Mounts: `nsfs`, and what only a mount holds.
    pub mounts: Mounts,
    /// Parents, owners, levels and `owner_uid`; with them what only its children or what it owns
    /// keeps: [`Holder::Child`], [`Holder::Owned`].
    pub relatives: bool,
    /// The kernel's ids.
    pub ids: bool,
    /// `netnsid`.
    pub netnsid: bool,
    /// `maps`.
    pub maps: bool,
    /// All that the kernel has, also what no file of /proc shows. Needs BPF, or `listns(2)`.
    pub complete: bool,
    /// Who is in a namespace only by number, but for the first of its processes: of the others nothing
    /// but `pid` and `slots` need be found out, and nothing be told but how many they are.
    pub first: bool,
}

/// Where it is found out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum From {
    /// From the collector if one answers, else as [`Scan`](Self::Scan).
    #[default]
    Auto,
    /// From the collector.
    Live,
    /// From /proc and the kernel's memory.
    Scan,
}

/// Where mounts are looked for.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Mounts {
    /// Nowhere.
    #[default]
    Ignored,
    /// In our own mount namespace: `nsfs`.
    Own,
    /// In every mount namespace that has a process, of which `kinds` must hold the type: [`Holder::Mount`], [`Holder::ProcMount`].
    Every,
}

impl Want {
    /// The processes and the namespaces they are in, of every kind: the least.
    pub const MEMBERS: Self = Self {
        kinds: Kinds::ALL,
        children: false,
        threads: false,
        files: false,
        held: Kinds::ALL,
        mounts: Mounts::Ignored,
        relatives: false,
        ids: false,
        netnsid: false,
        maps: false,
        complete: false,
        first: false,
    };

    /// Everything.
    pub const ALL: Self = Self {
        kinds: Kinds::ALL,
        children: true,
        threads: true,
        files: true,
        held: Kinds::ALL,
        mounts: Mounts::Every,
        relatives: true,
        ids: true,
        netnsid: true,
        maps: true,
        complete: true,
        first: false,
    };

    /// What columns of namespaces need, and what other things that are asked need not.
    #[must_use]
    pub fn of(columns: impl Iterator<Item = Column>) -> Self {
        let columns: Vec<_> = columns.collect();
        let used = |wanted: &[Column]| columns.iter().any(|column| wanted.contains(column));
        let related = [Column::Pns, Column::Ons, Column::Owner, Column::Parent, Column::Level];
        let holders = used(&[Column::Holders]);
        let mounts = match used(&[Column::Nsfs]) {
            _ if holders => Mounts::Every,
            true => Mounts::Own,
            false => Mounts::Ignored,
        };
        Self {
            children: holders,
            threads: holders || used(&[Column::Nthreads]),
            files: holders,
            mounts,
            relatives: holders || used(&related),
            ids: used(&[Column::Id]),
            netnsid: used(&[Column::NetnsId]),
            maps: used(&[Column::UidMap]),
            complete: holders,
            ..Self::MEMBERS
        }
    }

    /// Whether a slot is to be read.
    #[must_use]
    pub fn slot(&self, slot: Slot) -> bool {
        let own = !matches!(slot, Slot::PidForChildren | Slot::TimeForChildren);
        self.kinds.contains(slot.kind()) && (own || self.children)
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Kinds(u8);

impl Kinds {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self(0xff);

    /// A bit for each, by its number.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether `kind` is one of them.
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// These and `kind`.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}
