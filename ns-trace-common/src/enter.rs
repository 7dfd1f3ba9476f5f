//! unshare(2) or setns(2) succeeded.

use crate::{Header, Task};

/// One successful call; what changed follows from the task's slots before it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Enter {
    /// Kind [`RecordKind::Enter`](crate::RecordKind::Enter).
    pub header: Header,
    /// A [`Cause`](crate::Cause).
    pub cause: u32,
    /// The file descriptor given to setns(2); 0 for unshare(2).
    pub fd: i32,
    /// The flags of unshare(2), the nstype of setns(2).
    pub flags: u64,
    /// The kinds (`CLONE_NEW*` bits) whose births have no record of their own: this one tells of them.
    pub births: u64,
    /// The call's [`Kind::serial`](crate::repeat::Kind::serial), by which later calls like it are
    /// counted; 0 if none will be.
    pub serial: u64,
    /// The kind of the setns(2) that has put the caller where it was before; 0 if another call has.
    pub before: u64,
    /// The caller, after the call.
    pub task: Task,
}
