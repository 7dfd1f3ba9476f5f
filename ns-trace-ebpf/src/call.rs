//! The system call that the current task is in.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_probe_read_user,
    generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_task_pt_regs},
};
use ns_trace_common::Cause;

use crate::{
    arch::{any, compat, native, registers},
    memory::{Direct, Memory as _, Own, Probed, has, offset},
};

/// `PF_KTHREAD` of include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// What of a register is an argument of a 32-bit caller.
pub const COMPAT_MASK: u64 = 0xffff_ffff;
/// What of clone's first argument are flags: the lowest byte is the signal for the parent (`CSIGNAL`).
pub const CLONE_MASK: u64 = 0xffff_ff00;

/// The current task, readable with [`Own`].
#[inline(always)]
pub fn current() -> *const u8 {
    // SAFETY: the helpers have no preconditions.
    unsafe {
        if has!(current_task_btf) {
            bpf_get_current_task_btf() as *const u8
        } else {
            bpf_get_current_task() as *const u8
        }
    }
}

/// The number of the current thread in the initial pid namespace.
#[inline(always)]
pub fn tid() -> u32 {
    // The lower half is what the kernel calls the pid.
    bpf_get_current_pid_tgid() as u32
}

/// A register that the current task's system call was entered with (a constant of [`registers`]).
#[inline(always)]
pub fn register(offset: u32) -> u64 {
    // SAFETY: an integer has no invalid bits.
    unsafe { saved(offset) }
}

/// The number of the current task's system call; on some processors nothing wider is saved.
#[inline(always)]
fn number() -> i32 {
    // SAFETY: an integer has no invalid bits.
    unsafe { saved(registers::NUMBER) }
}

/// What was saved when the current task's system call was entered; the kernel checks how wide it is.
///
/// # Safety
///
/// As for [`crate::memory::Memory::read`].
#[inline(always)]
unsafe fn saved<T: Copy>(offset: u32) -> T {
    // SAFETY: the helper takes the current task and returns its saved registers, whose layout is
    // part of the kernel's ABI; before 5.15 we look for them where it does.
    unsafe {
        if has!(task_pt_regs) {
            let saved = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u8;
            Direct::read(saved, offset)
        } else {
            let stack = Own::pointer(current(), offset!(task_stack));
            let end = stack.wrapping_add(registers::STACK_LEN as usize);
            Probed::read(end.wrapping_sub(offset!(registers_len) as usize), offset)
        }
    }
}

/// Whether the current call came through a 32-bit entry.
#[inline(always)]
pub fn is_compat() -> bool {
    #[cfg(bpf_target_arch = "x86_64")]
    {
        // SAFETY: an integer has no invalid bits.
        let status: u32 = unsafe { Own::read(current(), offset!(task_status)) };
        status & crate::arch::COMPAT != 0
    }
    #[cfg(bpf_target_arch = "aarch64")]
    {
        register(crate::arch::STATE) & crate::arch::COMPAT != 0
    }
}

/// Which call the current task is in, as far as namespaces are concerned.
#[inline(always)]
pub fn cause() -> Cause {
    // SAFETY: an integer has no invalid bits.
    let flags: u32 = unsafe { Own::read(current(), offset!(task_flags)) };
    if flags & KERNEL_THREAD != 0 {
        return Cause::Kernel;
    }
    let number = number();
    if number == any::OPEN_TREE || number == any::OPEN_TREE_ATTR {
        return Cause::OpenTree;
    }
    if number == any::FSMOUNT {
        return Cause::Fsmount;
    }
    if is_compat() {
        match number {
            compat::CLONE | compat::FORK | compat::VFORK => Cause::Clone,
            compat::CLONE3 => Cause::Clone3,
            compat::UNSHARE => Cause::Unshare,
            _ => Cause::Kernel,
        }
    } else if number == native::CLONE || number == native::FORK || number == native::VFORK {
        Cause::Clone
    } else if number == native::CLONE3 {
        Cause::Clone3
    } else if number == native::UNSHARE {
        Cause::Unshare
    } else {
        Cause::Kernel
    }
}

/// The flags of the current call, for the causes of births; `None` for the kernel's own.
#[inline(always)]
pub fn flags(cause: Cause) -> Option<u64> {
    let (first, second) = if is_compat() {
        (register(registers::COMPAT_0) & COMPAT_MASK, register(registers::COMPAT_1))
    } else {
        (register(registers::ARGUMENT_0), register(registers::ARGUMENT_1))
    };
    Some(match cause {
        Cause::Unshare => first,
        Cause::Clone => first & CLONE_MASK,
        Cause::Clone3 => clone3_flags(first),
        // Unsigned ints.
        Cause::OpenTree => register(registers::ARGUMENT_2) & COMPAT_MASK,
        Cause::Fsmount => second & COMPAT_MASK,
        _ => return None,
    })
}

/// The flags in the arguments of clone3(2).
#[inline(always)]
pub fn clone3_flags(arguments: u64) -> u64 {
    // `struct clone_args` starts with the flags.
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(arguments as *const u64) }.unwrap_or(0)
}
