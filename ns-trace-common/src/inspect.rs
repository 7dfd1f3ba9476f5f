//! Questions about namespaces whose address is known, answered from the kernel's memory.

use crate::Ns;

/// The most questions that one run of the probe answers.
pub const BATCH: u32 = 1024;

/// [`Inspect::want`]: is it alive?
pub const ALIVE: u32 = 0;
/// [`Inspect::want`]: is it alive, and who are its owner and parent?
pub const RELATIVES: u32 = 1;

/// One question, and the answer in its place.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Inspect {
    /// The namespace asked about.
    pub ns: Ns,
    /// Its [`Kind`](crate::Kind).
    pub kind: u32,
    /// [`ALIVE`] or [`RELATIVES`].
    pub want: u32,
    /// Answer: whether that namespace still lives. The memory may be another object's by now; it
    /// counts as alive only if inode and id are still there and its reference count is not 0.
    pub alive: u32,
    /// Answer: depth below the initial namespace, of pid and user namespaces only.
    pub level: u32,
    /// Answer: the user who made that user namespace, or the one that owns that namespace, as seen
    /// from the initial one.
    pub uid: u32,
    /// Always 0; keeps what follows aligned.
    pub reserved: u32,
    /// Answer: one more than the number that changes whenever something is mounted or unmounted there
    /// (`touch_mnt_namespace` of fs/namespace.c) and is 0 before; of mount namespaces only.
    pub event: u64,
    /// Answer: the user namespace that owns it.
    pub owner: Ns,
    /// Answer: the parent, of pid and user namespaces only.
    pub parent: Ns,
}
