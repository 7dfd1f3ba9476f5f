//! A process runs another program.

use crate::{Header, Task};

/// The most bytes of the file name that are kept, the final NUL included.
pub const EXE_LEN: usize = 4096;
/// The most bytes of the arguments that are kept.
pub const ARGS_LEN: usize = 4096;

/// One successful exec; the file name and the NUL-separated arguments follow the struct.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Exec {
    /// Kind [`RecordKind::Exec`](crate::RecordKind::Exec).
    pub header: Header,
    /// The thread number before: differs from `task.tid` when a thread other than the leader called.
    pub old_tid: u32,
    /// Bytes of the file name that follow, final NUL excluded.
    pub exe_len: u32,
    /// Bytes of the arguments that follow the file name.
    pub args_len: u32,
    /// Bytes that the arguments had.
    pub args_total: u32,
    /// The task, after the exec.
    pub task: Task,
}
