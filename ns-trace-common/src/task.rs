use crate::{SLOTS, Slot};

/// Bytes of `task_struct.comm`, the final NUL included.
pub const COMM_LEN: usize = 16;

/// One namespace as the probes saw it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Ns {
    /// Address of the namespace's struct: tells whether it still lives, never leaves the tracer.
    pub address: u64,
    /// `ns_common.ns_id` (6.18+), mnt `seq` or net `net_cookie` before; 0 where there is none.
    pub id: u64,
    /// `ns_common.inum`; 0 when the slot is empty.
    pub inode: u32,
    /// Always 0; keeps the size a multiple of 8.
    pub reserved: u32,
}

impl Ns {
    /// No namespace.
    pub const NONE: Self = Self { address: 0, id: 0, inode: 0, reserved: 0 };
}

/// A task as it stood at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Task {
    /// Thread group number in the initial pid namespace.
    pub pid: u32,
    /// Thread number in the initial pid namespace.
    pub tid: u32,
    /// Thread group number of `real_parent`.
    pub ppid: u32,
    /// Thread number in the task's own pid namespace.
    pub vpid: u32,
    /// `start_boottime`: nanoseconds of the boot clock.
    pub start_ns: u64,
    /// Effective capabilities.
    pub caps: u64,
    /// `cgroups->dfl_cgrp->kn->id`.
    pub cgroup_id: u64,
    /// `cgroups->subsys[…]->cgroup->kn->id` of one controller of version 1; 0 if there is none.
    pub legacy_cgroup_id: u64,
    /// Real user number, as seen from the initial user namespace.
    pub uid: u32,
    /// Real group number, as seen from the initial user namespace.
    pub gid: u32,
    /// Effective user number, as seen from the initial user namespace.
    pub euid: u32,
    /// `task_struct.flags` (`PF_*`).
    pub flags: u32,
    /// `task_struct.comm`, NUL-terminated.
    pub comm: [u8; COMM_LEN],
    /// The namespaces, in the order of [`Slot::ALL`].
    pub slots: [Ns; SLOTS],
}

impl Task {
    /// The namespace in `slot`.
    #[must_use]
    pub const fn slot(&self, slot: Slot) -> &Ns {
        &self.slots[slot as usize]
    }
}
