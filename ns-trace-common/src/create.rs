//! A namespace came to be: written by birth hooks, where functions can be hooked.

use crate::{Header, Ns, Task};

/// One birth.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Create {
    /// Kind [`RecordKind::Create`](crate::RecordKind::Create).
    pub header: Header,
    /// A [`Cause`](crate::Cause).
    pub cause: u32,
    /// A [`Kind`](crate::Kind).
    pub kind: u32,
    /// The namespace flags that the constructor was called with.
    pub flags: u64,
    /// The depth below the initial namespace, of pid and user namespaces only; 0 for the others.
    pub level: u32,
    /// Always 0; keeps the size a multiple of 8.
    pub reserved: u32,
    /// The new namespace.
    pub ns: Ns,
    /// The user namespace that owns it; for a user namespace its parent.
    pub owner: Ns,
    /// The parent, of pid and user namespaces only.
    pub parent: Ns,
    /// The task that made it (for clone the parent: the child does not exist yet).
    pub task: Task,
}
