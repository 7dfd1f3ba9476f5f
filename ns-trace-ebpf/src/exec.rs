//! Processes that run another program.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_ringbuf_output},
    macros::{map, raw_tracepoint, tracepoint},
    maps::PerCpuArray,
    programs::{RawTracePointContext, TracePointContext},
};
use ns_trace_common::{
    Due, RecordKind,
    exec::{ARGS_LEN, EXE_LEN, Exec},
};

use crate::{
    call::current,
    emit,
    maps::EVENTS,
    memory::{Memory as _, Probed, offset},
    repeat, task,
};

/// A record of the largest size, assembled here since its length is known only at the end.
#[repr(C)]
pub struct Scratch {
    exec: Exec,
    text: [u8; EXE_LEN + ARGS_LEN],
}

#[map]
static EXEC_SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// Every successful exec: namespaces, credentials and the new program's stack are in place.
///
/// match-proto: v5.10+: void trace_sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn sched_process_exec(context: RawTracePointContext) {
    // SAFETY: a pointer may have any bits.
    let name = unsafe { Probed::pointer(context.arg(2), offset!(bprm_filename)) };
    executed(context.arg(1), name);
}

/// The same through perf, which runs programs with preemption off (7.0+).
///
/// match-proto: v7.0+: void trace_sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
#[tracepoint(category = "sched", name = "sched_process_exec")]
pub fn perf_process_exec(context: TracePointContext) {
    let event: *const u8 = context.as_ptr().cast();
    // SAFETY: integers may have any bits.
    let (old_tid, place): (u32, u32) = unsafe {
        (Probed::read(event, offset!(exec_old_pid)), Probed::read(event, offset!(exec_filename)))
    };
    // The lower half says where in the event the text is (`__data_loc`).
    executed(old_tid, event.wrapping_add((place & 0xffff) as usize));
}

/// The current task runs another program, the file `name`; `old_tid` is the number that it had.
#[inline(always)]
fn executed(old_tid: u32, name: *const u8) {
    let Some(scratch) = EXEC_SCRATCH.get_ptr_mut(0) else {
        return;
    };
    let current = current();
    // SAFETY: an integer may have any bits.
    let tid: u32 = unsafe { Probed::read(current, offset!(task_pid)) };
    if tid == old_tid {
        repeat::moved();
    } else {
        // A thread has taken the leader's number.
        repeat::ended(old_tid);
    }
    // SAFETY: the scratch belongs to this CPU, and the kernel does not run the program where
    // it is under way; every length is bounded by a mask before it is used.
    unsafe {
        let exec = &raw mut (*scratch).exec;
        let text = (&raw mut (*scratch).text).cast::<u8>();

        let got = bpf_probe_read_kernel_str(text.cast(), EXE_LEN as u32, name.cast());
        // The length counts the final NUL, which the arguments overwrite.
        let exe_len = if got > 0 { (got as usize - 1) & (EXE_LEN - 1) } else { 0 };

        let mm = Probed::pointer(current, offset!(task_mm));
        let start: u64 = Probed::read(mm, offset!(mm_arg_start));
        let end: u64 = Probed::read(mm, offset!(mm_arg_end));
        let total = end.wrapping_sub(start);
        let wanted = if total < ARGS_LEN as u64 { total as usize } else { ARGS_LEN };
        let failed = bpf_probe_read_user(
            text.add(exe_len).cast(),
            wanted as u32,
            start as *const core::ffi::c_void,
        );
        let args_len = if failed == 0 { wanted } else { 0 };

        let len = exe_len + args_len;
        let Some(header) = emit::header::<Exec>(RecordKind::Exec, len as u32) else {
            return;
        };
        (*exec).header = header;
        (*exec).old_tid = old_tid;
        (*exec).exe_len = exe_len as u32;
        (*exec).args_len = args_len as u32;
        (*exec).args_total = total as u32;
        task::fill::<Probed>(current, &raw mut (*exec).task);

        let size = size_of::<Exec>() + (len & (2 * ARGS_LEN - 1));
        let ring = (&raw const EVENTS).cast_mut().cast();
        if bpf_ringbuf_output(ring, scratch.cast(), size as u64, 0) != 0 {
            emit::failed();
            emit::lost(Due::EXEC, 1);
        }
    }
}
