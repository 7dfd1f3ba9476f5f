//! What depends on the processor: what its kernels call the entries of system calls.
//!
//! The registers and numbers are in the probes (ns-trace-ebpf/src/arch.rs).

/// setns(2) of native callers.
#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE_SETNS: &str = "__x64_sys_setns";
/// setns(2) of all callers.
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE_SETNS: &str = "__arm64_sys_setns";

/// The same of unshare, clone and clone3.
#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE: [&str; 3] = ["__x64_sys_unshare", "__x64_sys_clone", "__x64_sys_clone3"];
/// The same of unshare, clone and clone3.
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE: [&str; 3] =
    ["__arm64_sys_unshare", "__arm64_sys_clone", "__arm64_sys_clone3"];

/// setns(2) of 32-bit callers, where they have an entry of their own.
pub(super) const COMPAT_SETNS: &str = "__ia32_sys_setns";
/// unshare(2) of 32-bit callers.
pub(super) const COMPAT_UNSHARE: &str = "__ia32_sys_unshare";
/// clone(2) of 32-bit callers, whose arguments have another order.
pub(super) const COMPAT_CLONE: &str = "__ia32_compat_sys_ia32_clone";
/// clone3(2) of 32-bit callers.
pub(super) const COMPAT_CLONE3: &str = "__ia32_sys_clone3";
