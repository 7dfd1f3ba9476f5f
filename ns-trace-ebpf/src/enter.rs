//! unshare(2) and setns(2): what they did.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fexit, kretprobe, tracepoint},
    programs::{FExitContext, RetProbeContext, TracePointContext},
};
use ns_trace_common::{Cause, RecordKind, enter::Enter, made_by_unshare};

use crate::{
    arch::{compat, native, registers},
    birth,
    call::{COMPAT_MASK, is_compat, register},
    emit, fail,
    memory::{Direct, Memory as _},
    repeat, task,
};

/// Where a syscall exit tracepoint keeps the number of the call.
const NUMBER: usize = 8;
/// Where a syscall exit tracepoint keeps the result (`struct syscall_trace_exit`).
const RESULT: usize = 16;

/// The result of the call that a syscall exit tracepoint is about.
#[inline(always)]
pub fn result(context: &TracePointContext) -> i64 {
    // SAFETY: the context is a `struct syscall_trace_exit`, larger than this.
    unsafe { context.as_ptr().cast::<u8>().add(RESULT).cast::<i64>().read() }
}

/// The number of the call that an exit tracepoint of all calls is about.
#[inline(always)]
fn number(context: &TracePointContext) -> i32 {
    // SAFETY: the context is a `struct trace_event_raw_sys_exit`, larger than this; its result is
    // where that of a `struct syscall_trace_exit` is.
    unsafe { context.as_ptr().cast::<u8>().add(NUMBER).cast::<i64>().read() as i32 }
}

/// Any call returns, from 7.0 on: perf runs the programs of this tracepoint with preemption off, and
/// those of the tracepoints of single calls with preemption (include/trace/perf.h,
/// `perf_call_bpf_exit` of kernel/trace/trace_syscalls.c).
///
/// match-proto: v7.0+: void trace_sys_exit(struct pt_regs *regs, long ret)
#[tracepoint(category = "raw_syscalls", name = "sys_exit")]
pub fn sys_exit(context: TracePointContext) {
    let (number, result) = (number(&context), result(&context));
    match number {
        native::UNSHARE | native::SETNS | native::CLONE | native::CLONE3 => {}
        // clone3's is the same.
        compat::UNSHARE | compat::SETNS | compat::CLONE => {}
        _ => return,
    }
    let (cause, first, second) = if is_compat() {
        let cause = match number {
            compat::UNSHARE => Cause::Unshare,
            compat::SETNS => Cause::Setns,
            compat::CLONE => Cause::Clone,
            compat::CLONE3 => Cause::Clone3,
            _ => return,
        };
        let first = register(registers::COMPAT_0) & COMPAT_MASK;
        (cause, first, register(registers::COMPAT_1))
    } else {
        let cause = match number {
            native::UNSHARE => Cause::Unshare,
            native::SETNS => Cause::Setns,
            native::CLONE => Cause::Clone,
            native::CLONE3 => Cause::Clone3,
            _ => return,
        };
        emit::handled();
        (cause, register(registers::ARGUMENT_0), register(registers::ARGUMENT_1))
    };
    match cause {
        Cause::Unshare => unshared(first, result),
        Cause::Setns => setns(first, second, result),
        Cause::Clone => fail::clone(first, result),
        _ => fail::clone3(first, result),
    }
}

/// A program that only counts a native call that [`sys_exit`] is to see: the kernel passes that
/// over while it has preempted a bpf(2) call on the processor (`bpf_disable_instrumentation`), with
/// all calls of whatever sort, so that its own count of them says nothing. This one is passed over
/// in another case, and by itself.
macro_rules! witness {
    ($(#[$doc:meta])+ $name:ident, $event:literal) => {
        $(#[$doc])+
        #[tracepoint(category = "syscalls", name = $event)]
        pub fn $name(_: TracePointContext) {
            emit::witnessed();
        }
    };
}

witness! {
    /// match-proto: v7.0+: long sys_unshare(unsigned long unshare_flags)
    unshare_witness, "sys_exit_unshare"
}
witness! {
    /// match-proto: v7.0+: long sys_setns(int fd, int nstype)
    setns_witness, "sys_exit_setns"
}
witness! {
    /// match-proto: v7.0+ x86_64: long sys_clone(unsigned long clone_flags, unsigned long newsp, int *parent_tidptr, int *child_tidptr, unsigned long tls)
    /// match-proto: v7.0+ aarch64: long sys_clone(unsigned long clone_flags, unsigned long newsp, int *parent_tidptr, unsigned long tls, int *child_tidptr)
    clone_witness, "sys_exit_clone"
}
witness! {
    /// match-proto: v7.0+: long sys_clone3(struct clone_args *uargs, size_t size)
    clone3_witness, "sys_exit_clone3"
}

/// unshare(2) returns.
///
/// match-proto: v5.10+: long sys_unshare(unsigned long unshare_flags)
#[tracepoint(category = "syscalls", name = "sys_exit_unshare")]
pub fn sys_exit_unshare(context: TracePointContext) {
    unshared(register(registers::ARGUMENT_0), result(&context));
}

/// unshare(2) by any ABI, and the kernel's own.
///
/// match-proto: v5.10+: int ksys_unshare(unsigned long unshare_flags)
#[fexit(function = "ksys_unshare")]
pub fn ksys_unshare(context: FExitContext) {
    unshared(context.arg(0), i64::from(returned(&context, 1)));
}

/// setns(2) returns.
///
/// match-proto: v5.10+: long sys_setns(int fd, int nstype)
#[tracepoint(category = "syscalls", name = "sys_exit_setns")]
pub fn sys_exit_setns(context: TracePointContext) {
    setns(register(registers::ARGUMENT_0), register(registers::ARGUMENT_1), result(&context));
}

/// setns(2) of native callers.
///
/// match-proto: v5.10+ x86_64: long __x64_sys_setns(const struct pt_regs *regs)
/// match-proto: v5.10+ aarch64: long __arm64_sys_setns(const struct pt_regs *regs)
#[fexit(function = "__x64_sys_setns")]
pub fn native_setns(context: FExitContext) {
    let saved: *const u8 = context.arg(0);
    let result: i64 = context.arg(1);
    // SAFETY: the argument is the saved registers, and the verifier knows its type.
    unsafe {
        setns(
            Direct::read(saved, registers::ARGUMENT_0),
            Direct::read(saved, registers::ARGUMENT_1),
            result,
        );
    }
}

/// setns(2) of 32-bit callers.
///
/// match-proto: v5.10+ x86_64: long __ia32_sys_setns(const struct pt_regs *regs)
#[fexit(function = "__ia32_sys_setns")]
pub fn compat_setns(context: FExitContext) {
    let saved: *const u8 = context.arg(0);
    let result: i64 = context.arg(1);
    // SAFETY: the argument is the saved registers, and the verifier knows its type.
    unsafe {
        setns(
            Direct::read(saved, registers::COMPAT_0),
            Direct::read(saved, registers::COMPAT_1),
            result,
        );
    }
}

/// unshare(2) of native callers, through fprobe.
///
/// match-proto: v7.0+ x86_64: long __x64_sys_unshare(const struct pt_regs *regs)
/// match-proto: v7.0+ aarch64: long __arm64_sys_unshare(const struct pt_regs *regs)
#[kretprobe]
pub fn native_unshare_returned(context: RetProbeContext) {
    unshared(register(registers::ARGUMENT_0), context.ret());
}

/// setns(2) of native callers, through fprobe.
///
/// match-proto: v7.0+ x86_64: long __x64_sys_setns(const struct pt_regs *regs)
/// match-proto: v7.0+ aarch64: long __arm64_sys_setns(const struct pt_regs *regs)
#[kretprobe]
pub fn native_setns_returned(context: RetProbeContext) {
    setns(register(registers::ARGUMENT_0), register(registers::ARGUMENT_1), context.ret());
}

/// unshare(2) of 32-bit callers, whom the system call tracepoints leave out.
///
/// match-proto: v5.10+ x86_64: long __ia32_sys_unshare(const struct pt_regs *regs)
#[kretprobe]
pub fn compat_unshare_returned(context: RetProbeContext) {
    unshared(register(registers::COMPAT_0) & COMPAT_MASK, context.ret());
}

/// setns(2) of 32-bit callers, whom the system call tracepoints leave out.
///
/// match-proto: v5.10+ x86_64: long __ia32_sys_setns(const struct pt_regs *regs)
#[kretprobe]
pub fn compat_setns_returned(context: RetProbeContext) {
    setns(register(registers::COMPAT_0), register(registers::COMPAT_1), context.ret());
}

/// The result of a function that returns an int, which follows its `arguments` in the context.
#[inline(always)]
pub fn returned(context: &FExitContext, arguments: usize) -> i32 {
    let word: u64 = context.arg(arguments);
    word as i32
}

#[inline(always)]
fn unshared(flags: u64, result: i64) {
    if result < 0 {
        fail::call(Cause::Unshare, flags, result);
    } else if made_by_unshare(flags) != 0 {
        let births = birth::unseen(made_by_unshare(flags));
        entered(Cause::Unshare, flags, 0, births, 0, repeat::moved());
    }
}

#[inline(always)]
fn setns(fd: u64, kinds: u64, result: i64) {
    // Both are ints: the upper halves of the registers mean nothing.
    let (fd, kinds) = (fd as i32, u64::from(kinds as u32));
    if result < 0 {
        fail::setns(fd, kinds, result);
    } else {
        let verdict = repeat::enter((Cause::Setns as u64) << 32, kinds);
        // The nstype creates nothing.
        if !verdict.held && !entered(Cause::Setns, kinds, fd, 0, verdict.serial, verdict.before) {
            repeat::untold(verdict);
        }
    }
}

/// Writes the record; returns whether there was room.
#[inline(always)]
fn entered(cause: Cause, flags: u64, fd: i32, births: u64, serial: u64, before: u64) -> bool {
    let Some(mut entry) = emit::reserve::<Enter>(RecordKind::Enter) else {
        emit::lost_call(births);
        return false;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is the reserved room.
    unsafe {
        (*record).cause = cause as u32;
        (*record).fd = fd;
        (*record).flags = flags;
        (*record).births = births;
        (*record).serial = serial;
        (*record).before = before;
        task::own(&raw mut (*record).task);
    }
    entry.submit(0);
    true
}
