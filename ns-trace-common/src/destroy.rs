//! The kernel gave an inode number back: written by the death hook, where functions can be hooked.

use crate::Header;

/// One inode number returned to the kernel's pool.
///
/// Namespaces and procfs entries share the pool (fs/proc/generic.c, `proc_inum_ida`), so the
/// receiver must know the inode as a living namespace's to call this a death.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Destroy {
    /// Kind [`RecordKind::Destroy`](crate::RecordKind::Destroy).
    pub header: Header,
    /// The inode number.
    pub inode: u32,
    /// Always 0; keeps the size a multiple of 8.
    pub reserved: u32,
}
