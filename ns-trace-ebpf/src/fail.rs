//! Calls that failed.

use aya_ebpf::{
    macros::{fexit, kretprobe, tracepoint},
    programs::{FExitContext, RetProbeContext, TracePointContext},
};
use ns_trace_common::{
    Cause, Due, Kind, Ns, RecordKind,
    fail::{Fail, NAMESPACE_TARGET, NO_TARGET, PROCESS_TARGET},
    made_by_clone,
};

use crate::{
    arch::registers,
    birth,
    call::{CLONE_MASK, COMPAT_MASK, cause, clone3_flags, current, register},
    emit,
    enter::{result, returned},
    memory::{Direct, Memory as _, Probed, offset, present},
    repeat::{self, Call},
    task::{self, namespace},
};

/// Error numbers from here on never reach the caller: the kernel restarts the call
/// (`ERESTARTSYS` … `ERESTART_RESTARTBLOCK`, include/linux/errno.h).
const RESTART: i64 = 512;

/// `NSFS_MAGIC` of include/uapi/linux/magic.h.
const NSFS: u64 = 0x6e73_6673;
/// `PID_FS_MAGIC`: pidfds have a file system of their own from 6.9 on.
const PIDFS: u64 = 0x5049_4446;
/// `ANON_INODE_FS_MAGIC`: where pidfds were before.
const ANON_INODE: u64 = 0x0904_1934;

/// The name of a pidfd's dentry in the anonymous inode file system.
const PIDFD_NAME: [u8; 8] = *b"[pidfd]\0";

/// clone(2) returns.
///
/// match-proto: v5.10+ x86_64: long sys_clone(unsigned long clone_flags, unsigned long newsp, int *parent_tidptr, int *child_tidptr, unsigned long tls)
/// match-proto: v5.10+ aarch64: long sys_clone(unsigned long clone_flags, unsigned long newsp, int *parent_tidptr, unsigned long tls, int *child_tidptr)
#[tracepoint(category = "syscalls", name = "sys_exit_clone")]
pub fn sys_exit_clone(context: TracePointContext) {
    clone(register(registers::ARGUMENT_0), result(&context));
}

/// clone(2) of native callers, through fprobe.
///
/// match-proto: v7.0+ x86_64: long __x64_sys_clone(const struct pt_regs *regs)
/// match-proto: v7.0+ aarch64: long __arm64_sys_clone(const struct pt_regs *regs)
#[kretprobe]
pub fn native_clone_returned(context: RetProbeContext) {
    clone(register(registers::ARGUMENT_0), context.ret());
}

/// clone3(2) of native callers, through fprobe.
///
/// match-proto: v7.0+ x86_64: long __x64_sys_clone3(const struct pt_regs *regs)
/// match-proto: v7.0+ aarch64: long __arm64_sys_clone3(const struct pt_regs *regs)
#[kretprobe]
pub fn native_clone3_returned(context: RetProbeContext) {
    clone3(register(registers::ARGUMENT_0), context.ret());
}

/// clone(2) of 32-bit callers, whom the system call tracepoints leave out.
///
/// match-proto: v5.10+ x86_64: long __ia32_compat_sys_ia32_clone(const struct pt_regs *regs)
#[kretprobe]
pub fn compat_clone_returned(context: RetProbeContext) {
    clone(register(registers::COMPAT_0) & COMPAT_MASK, context.ret());
}

/// clone3(2) returns.
///
/// match-proto: v5.10+: long sys_clone3(struct clone_args *uargs, size_t size)
#[tracepoint(category = "syscalls", name = "sys_exit_clone3")]
pub fn sys_exit_clone3(context: TracePointContext) {
    clone3(register(registers::ARGUMENT_0), result(&context));
}

/// clone3(2) of 32-bit callers, whom the system call tracepoints leave out.
///
/// match-proto: v5.10+ x86_64: long __ia32_sys_clone3(const struct pt_regs *regs)
#[kretprobe]
pub fn compat_clone3_returned(context: RetProbeContext) {
    clone3(register(registers::COMPAT_0) & COMPAT_MASK, context.ret());
}

#[inline(always)]
pub fn clone(flags: u64, result: i64) {
    if result < 0 {
        cloned(Cause::Clone, flags & CLONE_MASK, result);
    }
}

#[inline(always)]
pub fn clone3(arguments: u64, result: i64) {
    if result < 0 {
        cloned(Cause::Clone3, clone3_flags(arguments), result);
    }
}

/// clone, clone3, fork and vfork by any ABI.
///
/// match-proto: v5.10+: pid_t kernel_clone(struct kernel_clone_args *args)
#[fexit(function = "kernel_clone")]
pub fn kernel_clone(context: FExitContext) {
    let result = i64::from(returned(&context, 1));
    if result < 0 {
        let args: *const u8 = context.arg(0);
        // SAFETY: the argument's type is known to the verifier.
        let flags = unsafe { Direct::read(args, offset!(clone_args_flags)) };
        cloned(cause(), flags, result);
    }
}

/// A failed clone: of interest only if it asked for namespaces.
#[inline(always)]
fn cloned(cause: Cause, flags: u64, result: i64) {
    if made_by_clone(flags) != 0 {
        call(cause, flags, result);
    }
}

/// A failed call that points at nothing.
#[inline(always)]
pub fn call(cause: Cause, flags: u64, result: i64) {
    failed(cause, flags, result, 0);
}

/// A failed setns(2).
#[inline(always)]
pub fn setns(fd: i32, kinds: u64, result: i64) {
    failed(Cause::Setns, kinds, result, fd);
}

#[inline(always)]
fn failed(cause: Cause, flags: u64, result: i64, fd: i32) {
    birth::forget();
    let errno = -result;
    if errno >= RESTART {
        return;
    }
    let mut target = Target { target: NO_TARGET, kind: 0, pid: 0, ns: Ns::NONE };
    if matches!(cause, Cause::Setns) {
        // SAFETY: the target is valid for writes.
        unsafe { point(fd, &raw mut target) };
    }
    let verdict = repeat::fail(&Call {
        call: (cause as u64) << 32 | errno as u64,
        flags,
        from: target.ns.address ^ u64::from(target.pid),
        to: target.ns.id ^ u64::from(target.ns.inode) << 32 ^ u64::from(target.target),
    });
    if verdict.held {
        return;
    }
    let Some(mut entry) = emit::reserve::<Fail>(RecordKind::Fail) else {
        repeat::untold(verdict);
        return emit::lost(Due::FAIL, 1);
    };
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is the reserved room.
    unsafe {
        (*record).cause = cause as u32;
        (*record).errno = errno as u32;
        (*record).flags = flags;
        (*record).target = target.target;
        (*record).target_kind = target.kind;
        (*record).target_ns = target.ns;
        (*record).target_pid = target.pid;
        (*record).fd = fd;
        (*record).serial = verdict.serial;
        task::fill::<Probed>(current(), &raw mut (*record).task);
    }
    entry.submit(0);
}

/// What setns(2) was pointed at, as the record says it.
struct Target {
    target: u32,
    kind: u32,
    pid: u32,
    ns: Ns,
}

/// Writes what the file descriptor points at: a namespace, a process or nothing.
///
/// # Safety
///
/// `out` must be valid for writes.
#[inline(always)]
unsafe fn point(fd: i32, out: *mut Target) {
    // SAFETY: integers and pointers may have any bits.
    unsafe {
        let files = Probed::pointer(current(), offset!(task_files));
        let table = Probed::pointer(files, offset!(files_fdt));
        let size: u32 = Probed::read(table, offset!(fdt_max_fds));
        // A negative descriptor is large as an unsigned number.
        if fd as u32 >= size {
            return;
        }
        let array = Probed::pointer(table, offset!(fdt_fd));
        let file = Probed::pointer(array.wrapping_add(fd as u32 as usize * 8), 0);
        if file.is_null() {
            return;
        }
        let inode = Probed::pointer(file, offset!(file_inode));
        let block = Probed::pointer(inode, offset!(inode_sb));
        let magic: u64 = Probed::read(block, offset!(sb_magic));
        if magic == NSFS {
            (*out).target = NAMESPACE_TARGET;
            nsfs(Probed::pointer(inode, offset!(inode_private)), out);
        } else if magic == PIDFS {
            process(Probed::pointer(inode, offset!(inode_private)), out);
        } else if magic == ANON_INODE {
            let dentry = Probed::pointer(file, offset!(file_dentry));
            let name = Probed::pointer(dentry, offset!(dentry_name));
            let name: [u8; 8] = Probed::read(name, 0);
            if name == PIDFD_NAME {
                process(Probed::pointer(file, offset!(file_private)), out);
            }
        }
    }
}

/// Writes the process behind a `struct pid`.
#[inline(always)]
unsafe fn process(pid: *const u8, out: *mut Target) {
    // SAFETY: integers may have any bits; numbers[0] is the one in the initial pid namespace.
    unsafe {
        (*out).target = PROCESS_TARGET;
        (*out).pid = Probed::read(pid, offset!(pid_numbers));
    }
}

/// Writes the namespace around an `ns_common`.
#[inline(always)]
unsafe fn nsfs(common: *const u8, out: *mut Target) {
    // SAFETY: integers and pointers may have any bits.
    let flag: u32 = unsafe {
        if present(offset!(ns_type)) {
            Probed::read(common, offset!(ns_type))
        } else if present(offset!(ops_type)) {
            let ops = Probed::pointer(common, offset!(ops));
            Probed::read(ops, offset!(ops_type))
        } else {
            0
        }
    };
    macro_rules! of_kind {
        ($($kind:ident)+) => {
            $(if u64::from(flag) == Kind::$kind.flag() {
                let start = common.wrapping_sub(offset!(namespaces[Kind::$kind as usize].common) as usize);
                // SAFETY: `out` is valid for writes.
                unsafe {
                    (*out).kind = Kind::$kind as u32;
                    namespace::<Probed, { Kind::$kind as usize }>(start, &raw mut (*out).ns);
                }
                return;
            })+
        };
    }
    of_kind!(Mnt Pid Ipc Uts Net User Cgroup Time);
}
