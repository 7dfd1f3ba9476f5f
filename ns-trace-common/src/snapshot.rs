//! What exists: the walk over the kernel's task list.

use crate::{Header, Task};

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
