//! What exists: the walk over the kernel's task list, and its arguments by place.

use crate::{Header, Task};

/// Whether tasks count too that have let go of most of their namespaces: zombies.
pub const ZOMBIES: usize = 0;
/// The address of a namespace: only processes count of which a thread is there or its children will
/// be, and process 1. 0 if all count.
pub const NAMESPACE: usize = 1;
/// Where `struct nsproxy` has a namespace of that kind, or [`ABSENT`](crate::ABSENT).
pub const SLOT: usize = 2;
/// Where it has the one for children; the same again if there is none.
pub const CHILDREN: usize = 3;
/// The number of the kind: a task has users and numbers elsewhere.
pub const KIND: usize = 4;
/// How many arguments there are.
pub const ARGUMENTS: usize = 5;

/// How many thread numbers there can be: `PID_MAX_LIMIT` of include/linux/threads.h.
pub const TIDS: u32 = 1 << 22;

/// A task that the walk found.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Member {
    /// Kind [`RecordKind::Member`](crate::RecordKind::Member).
    pub header: Header,
    /// The task.
    pub task: Task,
}

/// The walk's last record: all that comes later in the ring happened after it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct End {
    /// Kind [`RecordKind::End`](crate::RecordKind::End).
    pub header: Header,
    /// Whether a bound of the walk was reached before its end.
    pub cut: u64,
}
