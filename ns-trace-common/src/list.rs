//! The kernel's own lists of namespaces: the arguments of the probe that walks one, by place. It
//! answers with [`Inspect`](crate::inspect::Inspect)s.

/// The [`Kind`](crate::Kind).
pub const KIND: usize = 0;
/// How many of that kind to pass over.
pub const SKIP: usize = 1;
/// The offset of the list's entry in the namespace.
pub const LIST: usize = 2;
/// The offset of the inode number.
pub const INODE: usize = 3;
/// The offset of the 64-bit id, or [`ABSENT`](crate::ABSENT).
pub const ID: usize = 4;
/// The offset of the type, or [`ABSENT`](crate::ABSENT).
pub const NS_TYPE: usize = 5;
/// The type that is meant: a clone flag.
pub const FLAG: usize = 6;
/// The offset in `nsproxy`, of the kinds that are there.
pub const SLOT: usize = 7;
/// Where to put the first: 0, which the verifier must not know.
pub const FIRST: usize = 8;
/// How many arguments there are.
pub const ARGUMENTS: usize = 9;
