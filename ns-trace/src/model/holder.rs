//! What keeps a namespace alive, besides the processes that are in it.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Hold, Kind, NsRef, Slot, Way, text};

/// One reason why a namespace exists. Each shape names a row of the kernel's own book-keeping;
/// numbers are those of the looker's pid namespace.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Holder {
    /// A thread is in it, and the first thread of its process is not.
    Thread {
        /// The process.
        pid: u32,
        /// The thread.
        tid: u32,
        /// Of which kind the namespace is.
        kind: Kind,
    },
    /// The children of a thread will be in it (`pid_for_children`, `time_for_children`), and the
    /// thread itself is not.
    ForChildren {
        /// The process.
        pid: u32,
        /// The thread.
        tid: u32,
        /// Which of the two slots.
        slot: Slot,
    },
    /// An open file of nsfs.
    Fd {
        /// The process.
        pid: u32,
        /// The thread, if it has a file table of its own; else the process.
        tid: u32,
        /// The number of the descriptor.
        fd: u32,
    },
    /// A socket that was made in it, or the queue of a tun or tap device in it, of a process that is
    /// elsewhere.
    Socket {
        /// The process.
        pid: u32,
        /// The thread, if it has a file table of its own; else the process.
        tid: u32,
        /// The number of the descriptor.
        fd: u32,
    },
    /// An open file of another kind that keeps it, or one that no descriptor leads to, of a process
    /// that is elsewhere. Only the kernel's memory tells, and of rings their `fdinfo`.
    File {
        /// Where it is kept.
        way: Way,
        /// By what.
        hold: Hold,
        /// The process.
        pid: u32,
        /// The thread, if it has a file table of its own; else the process.
        tid: u32,
        /// The number of the descriptor; in another [`Way`] that of the socket or ring.
        fd: u32,
    },
    /// Memory of System V that a process has attached which is elsewhere. Only the kernel's memory
    /// tells: the mapping is a file of one and the same tmpfs for all namespaces, whose inode is the
    /// number of the segment (`ipc/shm.c`, `newseg`), and that begins at 0 in each.
    Memory {
        /// The process.
        pid: u32,
        /// The number of the segment (`shmid`), in that namespace.
        segment: u32,
    },
    /// A bind mount of nsfs.
    Mount {
        /// Where, as the processes of that mount namespace see it.
        #[serde(serialize_with = "text::path")]
        path: Arc<PathBuf>,
        /// The mount namespace.
        mnt_ns: NsRef,
        /// A process in that mount namespace.
        pid: u32,
    },
    /// A procfs that shows a pid namespace.
    ProcMount {
        /// Where, as the processes of that mount namespace see it.
        #[serde(serialize_with = "text::path")]
        path: Arc<PathBuf>,
        /// The mount namespace.
        mnt_ns: NsRef,
        /// A process in that mount namespace.
        pid: u32,
    },
    /// A user or pid namespace below it.
    Child(NsRef),
    /// A namespace of another kind that the user namespace owns.
    Owned(NsRef),
}

impl Holder {
    /// The process through which it holds, or that sees the mount; `None` if it is a namespace.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        match self {
            Self::Thread { pid, .. }
            | Self::ForChildren { pid, .. }
            | Self::Fd { pid, .. }
            | Self::Socket { pid, .. }
            | Self::File { pid, .. }
            | Self::Memory { pid, .. }
            | Self::Mount { pid, .. }
            | Self::ProcMount { pid, .. } => Some(*pid),
            Self::Child(_) | Self::Owned(_) => None,
        }
    }

    /// The word for it in JSON and columns.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Thread { .. } => "thread",
            Self::ForChildren { .. } => "for_children",
            Self::Fd { .. } => "fd",
            Self::Socket { .. } => "socket",
            Self::File { way: Way::Message, .. } => "message",
            Self::File { way: Way::Ring, .. } => "ring",
            Self::File { way: Way::Open, hold, .. } => word(*hold),
            Self::Memory { .. } => "memory",
            Self::Mount { .. } => "mount",
            Self::ProcMount { .. } => "proc_mount",
            Self::Child(_) => "child",
            Self::Owned(_) => "owned",
        }
    }

    /// What it is that a message or ring keeps, with the word that it had as an open file; `None` of
    /// all others.
    #[must_use]
    pub const fn kept(&self) -> Option<&'static str> {
        match self {
            Self::File { way: Way::Message | Way::Ring, hold, .. } => Some(word(*hold)),
            _ => None,
        }
    }
}

/// The word for what a file keeps a namespace by.
const fn word(hold: Hold) -> &'static str {
    match hold {
        Hold::Pidfd => "pidfd",
        Hold::Proc => "proc_file",
        Hold::Cgroup => "cgroup_file",
        Hold::Cred => "cred",
        Hold::Nsfs => "fd",
        Hold::Socket => "socket",
        Hold::Peer => "peer",
        Hold::Signal => "signal",
        Hold::Memory => "memory",
    }
}
