use crate::{Kind, NAMESPACE_FLAGS};

/// `UNSHARE_EMPTY_MNTNS` of include/uapi/linux/sched.h (7.1), which older kernels refuse: a new
/// mount namespace without any mount.
const UNSHARE_EMPTY_MNTNS: u64 = 0x0010_0000;

/// `CLONE_EMPTY_MNTNS` of include/uapi/linux/sched.h (7.1), the same for clone3(2).
const CLONE_EMPTY_MNTNS: u64 = 1 << 37;

/// The namespaces that unshare(2) with `flags` makes, as `CLONE_NEW*` bits.
#[must_use]
pub const fn made_by_unshare(flags: u64) -> u64 {
    made(flags, UNSHARE_EMPTY_MNTNS)
}

/// The namespaces that a clone with `flags` makes, as `CLONE_NEW*` bits.
#[must_use]
pub const fn made_by_clone(flags: u64) -> u64 {
    made(flags, CLONE_EMPTY_MNTNS)
}

const fn made(flags: u64, empty_mnt: u64) -> u64 {
    let implied = if flags & empty_mnt == 0 { 0 } else { Kind::Mnt.flag() };
    flags & NAMESPACE_FLAGS | implied
}

/// How the probes learn of births (a constant of theirs).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Births {
    /// From the flags of successful calls.
    Derived = 0,
    /// From hooks that miss none.
    Hooked = 1,
    /// From hooks that may miss one: what they did not see of a call follows from its flags.
    Completed = 2,
}
