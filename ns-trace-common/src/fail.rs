//! clone(2), clone3(2), unshare(2) or setns(2) failed.

use crate::{Header, Ns, Task};

/// [`Fail::target`] is empty.
pub const NO_TARGET: u32 = 0;
/// [`Fail::target`] holds the namespace behind the file descriptor, `target_kind` its kind.
pub const NAMESPACE_TARGET: u32 = 1;
/// `target_pid` is the process behind the pidfd.
pub const PROCESS_TARGET: u32 = 2;

/// One failed call.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Fail {
    /// Kind [`RecordKind::Fail`](crate::RecordKind::Fail).
    pub header: Header,
    /// A [`Cause`](crate::Cause).
    pub cause: u32,
    /// The error number, positive.
    pub errno: u32,
    /// The flags of clone and unshare, the nstype of setns.
    pub flags: u64,
    /// What setns(2) was pointed at: one of the constants above.
    pub target: u32,
    /// A [`Kind`](crate::Kind); meaningful with [`NAMESPACE_TARGET`].
    pub target_kind: u32,
    /// The namespace; meaningful with [`NAMESPACE_TARGET`].
    pub target_ns: Ns,
    /// Thread number in the initial pid namespace; meaningful with [`PROCESS_TARGET`].
    pub target_pid: u32,
    /// The file descriptor given to setns(2); 0 for the others.
    pub fd: i32,
    /// The call's [`Kind::serial`](crate::repeat::Kind::serial), by which later calls like it are
    /// counted; 0 if none will be.
    pub serial: u64,
    /// The caller.
    pub task: Task,
}
