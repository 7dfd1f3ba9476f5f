//! The wire between the probes and userspace.
//!
//! Everything here is plain data: `#[repr(C)]` records of integers and byte arrays without implicit
//! padding, and the tables of kinds and slots that both sides share. A record starts with a
//! [`Header`] whose `kind` says which struct follows; numbers are in the byte order of the machine,
//! since both sides run on the same one.
#![no_std]

mod abilities;
pub mod create;
pub mod destroy;
pub mod enter;
pub mod exec;
pub mod exit;
pub mod fail;
pub mod files;
mod flags;
pub mod fork;
pub mod inspect;
mod kind;
pub mod list;
pub mod lost;
pub mod map;
mod offsets;
mod record;
pub mod repeat;
mod slot;
pub mod snapshot;
mod task;

pub use abilities::Helpers;
pub use flags::{Births, made_by_clone, made_by_unshare};
pub use kind::{Kind, NAMESPACE_FLAGS};
pub use offsets::{ABSENT, NamespaceOffsets, Offsets};
pub use record::{Due, Header, RecordKind};
pub use slot::{SLOTS, Slot};
pub use task::{COMM_LEN, Ns, Task};

/// The system call (or kernel path) that an event comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "snake_case")
)]
#[repr(u32)]
pub enum Cause {
    /// clone(2), fork(2), vfork(2).
    Clone = 0,
    /// clone3(2).
    Clone3 = 1,
    /// unshare(2).
    Unshare = 2,
    /// setns(2).
    Setns = 3,
    /// execve(2) and execveat(2): a pending time namespace takes effect.
    Exec = 4,
    /// The kernel on its own account, outside any of these calls.
    Kernel = 5,
    /// `open_tree(2)` and `open_tree_attr(2)` with `OPEN_TREE_NAMESPACE` (7.0).
    OpenTree = 6,
    /// fsmount(2) with `FSMOUNT_NAMESPACE` (7.1).
    Fsmount = 7,
}

impl Cause {
    /// Every cause, in the order of the discriminants.
    pub const ALL: [Self; 8] = [
        Self::Clone,
        Self::Clone3,
        Self::Unshare,
        Self::Setns,
        Self::Exec,
        Self::Kernel,
        Self::OpenTree,
        Self::Fsmount,
    ];

    /// The cause whose wire number is `number`; what nobody knows is the kernel's.
    #[must_use]
    pub const fn from_wire(number: u32) -> Self {
        match number {
            0 => Self::Clone,
            1 => Self::Clone3,
            2 => Self::Unshare,
            3 => Self::Setns,
            4 => Self::Exec,
            6 => Self::OpenTree,
            7 => Self::Fsmount,
            _ => Self::Kernel,
        }
    }

    /// Whether births by it belong to a call whose end is seen: its result says what they were for.
    #[must_use]
    pub const fn ends(self) -> bool {
        matches!(self, Self::Clone | Self::Clone3 | Self::Unshare)
    }

    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Clone3 => "clone3",
            Self::Unshare => "unshare",
            Self::Setns => "setns",
            Self::Exec => "exec",
            Self::Kernel => "kernel",
            Self::OpenTree => "open_tree",
            Self::Fsmount => "fsmount",
        }
    }
}
