//! A number map of a user namespace was written, or setgroups: by the hooks of the `fentry` backend.

use crate::{Header, Ns, Task};

/// The most bytes of what was written that are kept: some 40 lines.
pub const TEXT_LEN: usize = 1024;

/// One write, successful or not.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Map {
    /// Kind [`RecordKind::Map`](crate::RecordKind::Map).
    pub header: Header,
    /// A [`MapFile`].
    pub file: u32,
    /// The error number, positive; 0 if the write succeeded.
    pub errno: u32,
    /// Bytes of `text` that mean something.
    pub len: u32,
    /// Bytes that were written, at most `u32::MAX`.
    pub total: u32,
    /// The user namespace that the file is of.
    pub ns: Ns,
    /// The task that wrote.
    pub task: Task,
    /// What it wrote, read from its memory when the call returned.
    pub text: [u8; TEXT_LEN],
}

/// A file in `/proc/<pid>` that says who is who in a user namespace (`user_namespaces`(7)).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "snake_case")
)]
#[repr(u32)]
pub enum MapFile {
    /// User numbers.
    UidMap = 0,
    /// Group numbers.
    GidMap = 1,
    /// Project numbers, of disk quotas.
    ProjidMap = 2,
    /// Whether setgroups(2) is allowed.
    Setgroups = 3,
}

impl MapFile {
    /// Every file, in the order of the discriminants.
    pub const ALL: [Self; 4] = [Self::UidMap, Self::GidMap, Self::ProjidMap, Self::Setgroups];

    /// The name in `/proc/<pid>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UidMap => "uid_map",
            Self::GidMap => "gid_map",
            Self::ProjidMap => "projid_map",
            Self::Setgroups => "setgroups",
        }
    }
}
