//! Tasks that end.

use aya_ebpf::{
    macros::{raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
use ns_trace_common::{Due, RecordKind, exit::Exit};

use crate::{
    call::current,
    emit,
    memory::{Memory as _, Own, offset},
    repeat,
};

/// Every task that ends, in do_exit(): it still has its namespaces, but not for long.
///
/// match-proto: v5.10..v6.15: void trace_sched_process_exit(struct task_struct *p)
/// match-proto: v6.16+: void trace_sched_process_exit(struct task_struct *p, bool group_dead)
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn sched_process_exit(_: RawTracePointContext) {
    ended();
}

/// The same through perf, which runs programs with preemption off (7.0+).
///
/// match-proto: v7.0+: void trace_sched_process_exit(struct task_struct *p, bool group_dead)
#[tracepoint(category = "sched", name = "sched_process_exit")]
pub fn perf_process_exit(_: TracePointContext) {
    ended();
}

#[inline(always)]
fn ended() {
    let task = current();
    // SAFETY: integers have no invalid bits.
    let tid = unsafe { Own::read(task, offset!(task_pid)) };
    repeat::ended(tid);
    let Some(mut entry) = emit::reserve::<Exit>(RecordKind::Exit) else {
        return emit::lost(Due::EXIT, 1);
    };
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is the reserved room; integers have no invalid bits.
    unsafe {
        (*record).pid = Own::read(task, offset!(task_tgid));
        (*record).tid = tid;
        (*record).start_ns = Own::read(task, offset!(task_start_boottime));
        (*record).status = Own::read(task, offset!(task_exit_code));
        (*record).reserved = 0;
    }
    entry.submit(0);
}
