//! Open files that keep a namespace: what the probe that walks all file tables finds, and its
//! arguments by place.

use crate::Ns;

/// The most that one run finds.
pub const BATCH: u32 = 1024;

/// How many to pass over.
pub const SKIP: usize = 0;
/// Where to put the first: 0, which the verifier must not know.
pub const FIRST: usize = 1;
/// How many arguments there are.
pub const ARGUMENTS: usize = 2;

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
}

impl Hold {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pidfd, Self::Proc, Self::Cgroup, Self::Cred];
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
    /// Always 0; fills the struct.
    pub reserved: u32,
}
