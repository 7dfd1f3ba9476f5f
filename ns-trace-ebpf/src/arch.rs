//! What depends on the processor: saved registers and system call numbers.

#[cfg(not(any(bpf_target_arch = "x86_64", bpf_target_arch = "aarch64")))]
compile_error!("the probes know the registers and system calls of x86_64 and aarch64 only");

/// Byte offsets in `struct pt_regs` of the saved user registers.
#[cfg(bpf_target_arch = "x86_64")]
pub mod registers {
    /// First argument, `rdi`.
    pub const ARGUMENT_0: u32 = 112;
    /// Second argument, `rsi`.
    pub const ARGUMENT_1: u32 = 104;
    /// The system call's number, `orig_rax`.
    pub const NUMBER: u32 = 120;
    /// Third argument, `rdx`, of 32-bit callers too.
    pub const ARGUMENT_2: u32 = 96;
    /// First argument of a 32-bit caller, `ebx`.
    pub const COMPAT_0: u32 = 40;
    /// Second argument of a 32-bit caller, `ecx`.
    pub const COMPAT_1: u32 = 88;
    /// The size of a kernel stack (`THREAD_SIZE`), at whose end they are saved.
    pub const STACK_LEN: u32 = 16 << 10;
}

/// Byte offsets in `struct pt_regs` of the saved user registers.
#[cfg(bpf_target_arch = "aarch64")]
pub mod registers {
    /// First argument, `orig_x0`: `x0` itself holds the result by now.
    pub const ARGUMENT_0: u32 = 272;
    /// Second argument, `x1`.
    pub const ARGUMENT_1: u32 = 8;
    /// The system call's number, `syscallno`.
    pub const NUMBER: u32 = 280;
    /// Third argument, `x2`, of 32-bit callers too.
    pub const ARGUMENT_2: u32 = 16;
    /// First argument of a 32-bit caller, `r0`.
    pub const COMPAT_0: u32 = ARGUMENT_0;
    /// Second argument of a 32-bit caller, `r1`.
    pub const COMPAT_1: u32 = ARGUMENT_1;
    /// The size of a kernel stack (`THREAD_SIZE`), at whose end they are saved; with pages of 64 KiB
    /// it would be as large as a page.
    pub const STACK_LEN: u32 = 16 << 10;
}

/// System call numbers of the native ABI.
#[cfg(bpf_target_arch = "x86_64")]
pub mod native {
    pub const CLONE: i32 = 56;
    pub const FORK: i32 = 57;
    pub const VFORK: i32 = 58;
    pub const UNSHARE: i32 = 272;
    pub const SETNS: i32 = 308;
    pub const CLONE3: i32 = 435;
}

/// System call numbers of the native ABI; fork and vfork do not exist, clone's number stands in.
#[cfg(bpf_target_arch = "aarch64")]
pub mod native {
    pub const CLONE: i32 = 220;
    pub const FORK: i32 = CLONE;
    pub const VFORK: i32 = CLONE;
    pub const UNSHARE: i32 = 97;
    pub const SETNS: i32 = 268;
    pub const CLONE3: i32 = 435;
}

/// System call numbers of 32-bit callers (arch/x86/entry/syscalls/syscall_32.tbl; arm the same).
pub mod compat {
    pub const FORK: i32 = 2;
    pub const CLONE: i32 = 120;
    pub const VFORK: i32 = 190;
    #[cfg(bpf_target_arch = "x86_64")]
    pub const UNSHARE: i32 = 310;
    #[cfg(bpf_target_arch = "x86_64")]
    pub const SETNS: i32 = 346;
    #[cfg(bpf_target_arch = "aarch64")]
    pub const UNSHARE: i32 = 337;
    #[cfg(bpf_target_arch = "aarch64")]
    pub const SETNS: i32 = 375;
    pub const CLONE3: i32 = 435;
}

/// System call numbers that are the same everywhere (since 5.1 all new calls share their number).
pub mod any {
    pub const OPEN_TREE: i32 = 428;
    pub const FSMOUNT: i32 = 432;
    pub const OPEN_TREE_ATTR: i32 = 467;
}

/// `TS_COMPAT` in `thread_info.status`: the running call came through a 32-bit entry.
#[cfg(bpf_target_arch = "x86_64")]
pub const COMPAT: u32 = 0x2;

/// Where `pstate` is in `struct pt_regs`.
#[cfg(bpf_target_arch = "aarch64")]
pub const STATE: u32 = 264;
/// `PSR_MODE32_BIT` of it: the running call came from 32-bit code.
#[cfg(bpf_target_arch = "aarch64")]
pub const COMPAT: u64 = 0x10;
