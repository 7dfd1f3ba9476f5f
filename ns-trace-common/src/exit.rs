//! A task ended.

use crate::Header;

/// One task's end; its namespaces are those that it was last seen with.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Exit {
    /// Kind [`RecordKind::Exit`](crate::RecordKind::Exit).
    pub header: Header,
    /// Thread group number in the initial pid namespace.
    pub pid: u32,
    /// Thread number in the initial pid namespace.
    pub tid: u32,
    /// `start_boottime`: nanoseconds of the boot clock.
    pub start_ns: u64,
    /// The wait status, as in wait(2).
    pub status: u32,
    /// Always 0; keeps the size a multiple of 8.
    pub reserved: u32,
}
