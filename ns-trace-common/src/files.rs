//! Open files that keep a namespace: what the probe that walks all file tables finds, and its
//! arguments by place.

use crate::Ns;

/// The most that one run finds.
pub const BATCH: u32 = 1024;

/// The most runs at the same time, each of which visits its share of the processes: what takes the time
/// is waiting for memory that is in no cache.
pub const MOST_SHARES: u32 = 4;

/// How many to pass over.
pub const SKIP: usize = 0;
/// Of which kinds of namespaces it is told, a bit each by the number of the kind.
pub const KINDS: usize = 1;
/// Which share of the processes is visited, from 0 on.
pub const SHARE: usize = 2;
/// Of how many.
pub const SHARES: usize = 3;
/// How many arguments there are.
pub const ARGUMENTS: usize = 4;

/// In place of a [`Hold`]: the process has open files that /proc or requests of theirs tell about, of
/// nsfs, tap devices. It is told once for each process; the address is that of its first such file.
pub const IN_SIGHT: u32 = u32::MAX;

/// Where an open file is kept.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "user", derive(serde::Serialize, serde::Deserialize))]
#[repr(u32)]
pub enum Way {
    /// By the descriptor itself, or by memory that is attached.
    Open = 0,
    /// In a message that waits to be received from the unix socket that the descriptor is, or from
    /// one that came with such a message or asks to be accepted there (`SCM_RIGHTS`).
    Message = 1,
    /// Among the registered files of the `io_uring` that the descriptor is.
    Ring = 2,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Message, Self::Ring];
}

/// By what an open file keeps a namespace.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "user", derive(serde::Serialize, serde::Deserialize))]
#[repr(u32)]
pub enum Hold {
    /// It is a pidfd: its process's `struct pid` has a number in a pid namespace.
    Pidfd = 0,
    /// It is a file of procfs: of a process (pid), of the mounts of one (mnt), of /proc/PID/net
    /// (net).
    Proc = 1,
    /// It is a control file of a cgroup, opened by somebody in that cgroup namespace.
    Cgroup = 2,
    /// Who opened it had credentials of that user namespace (`file.f_cred`).
    Cred = 3,
    /// It is a file of nsfs. Told of those that no descriptor leads to.
    Nsfs = 4,
    /// It is a socket. Told of those that no descriptor leads to, and of others if they are of another
    /// network namespace than the process.
    Socket = 5,
    /// It is a unix socket whose other end had that number (pid) and those credentials (user) when
    /// they were connected (`SO_PEERCRED`), or that a message with such a number waits in
    /// (`SCM_CREDENTIALS`).
    Peer = 6,
    /// Signals about it go to a process with that number (`F_SETOWN`).
    Signal = 7,
    /// It is memory of System V that the process has attached; in place of the descriptor stands the
    /// number of the segment.
    Memory = 8,
}

impl Hold {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Pidfd,
        Self::Proc,
        Self::Cgroup,
        Self::Cred,
        Self::Nsfs,
        Self::Socket,
        Self::Peer,
        Self::Signal,
        Self::Memory,
    ];
}

/// One that was found.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Held {
    /// The namespace.
    pub ns: Ns,
    /// Its [`Kind`](crate::Kind).
    pub kind: u32,
    /// A [`Hold`].
    pub hold: u32,
    /// The process.
    pub pid: u32,
    /// The thread, if it has a file table of its own; else the process, or the first of its threads
    /// that is still there.
    pub tid: u32,
    /// The number of the descriptor.
    pub fd: u32,
    /// A [`Way`].
    pub way: u32,
}
