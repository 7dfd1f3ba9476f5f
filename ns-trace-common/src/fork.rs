//! A task was made, by whatever call.

use crate::{Header, Task};

/// A new task whose namespaces are those of its creator.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Fork {
    /// Kind [`RecordKind::Fork`](crate::RecordKind::Fork).
    pub header: Header,
    /// Thread number of the creator, which need not be the parent (`CLONE_PARENT`).
    pub creator_tid: u32,
    /// A [`Cause`](crate::Cause).
    pub cause: u32,
    /// The clone flags.
    pub flags: u64,
    /// The new task.
    pub task: Task,
}

/// A new task with a slot that differs from its creator's.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Clone {
    /// The same as for a plain fork, but kind [`RecordKind::Clone`](crate::RecordKind::Clone).
    pub fork: Fork,
    /// The kinds (`CLONE_NEW*` bits) whose births have no record of their own: this one tells of them.
    pub births: u64,
    /// The creator.
    pub creator: Task,
}
