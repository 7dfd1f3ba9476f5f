//! New tasks.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use ns_trace_common::{
    Due, RecordKind,
    fork::{Clone, Fork},
    made_by_clone,
};

use crate::{
    birth,
    call::{cause, current},
    emit,
    memory::{Memory as _, Own, Probed, offset},
    task,
};

/// Every new task, threads and io workers included: in copy_process(), before it first runs.
///
/// match-proto: v5.10..v6.17: void trace_task_newtask(struct task_struct *task, unsigned long clone_flags)
/// match-proto: v6.18+: void trace_task_newtask(struct task_struct *task, u64 clone_flags)
#[raw_tracepoint(tracepoint = "task_newtask")]
pub fn task_newtask(context: RawTracePointContext) {
    let child: *const u8 = context.arg(0);
    let flags: u64 = context.arg(1);
    let creator = current();
    if moves(child, creator, flags) {
        clone(child, creator, flags);
    } else {
        fork(child, creator, flags);
    }
}

/// Whether the child's namespaces may differ from its creator's.
#[inline(always)]
fn moves(child: *const u8, creator: *const u8, flags: u64) -> bool {
    // SAFETY: pointers may have any bits.
    unsafe {
        // A changed nsproxy covers a pending time namespace. The pid namespace is not in it: after
        // unshare(CLONE_NEWPID) a plain fork moves the child although the nsproxy is shared.
        made_by_clone(flags) != 0
            || Probed::pointer(creator, offset!(task_nsproxy))
                != Probed::pointer(child, offset!(task_nsproxy))
            || task::own_pid::<Probed>(creator).0 != task::own_pid::<Probed>(child).0
    }
}

#[inline(always)]
fn fork(child: *const u8, creator: *const u8, flags: u64) {
    let Some(mut entry) = emit::reserve::<Fork>(RecordKind::Fork) else {
        return emit::lost(Due::FORK, 1);
    };
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is the reserved room.
    unsafe {
        (*record).creator_tid = Own::read(creator, offset!(task_pid));
        (*record).cause = cause() as u32;
        (*record).flags = flags;
        task::fill_child(child, creator, &raw mut (*record).task);
    }
    entry.submit(0);
}

#[inline(always)]
fn clone(child: *const u8, creator: *const u8, flags: u64) {
    let births = birth::unseen(made_by_clone(flags));
    let Some(mut entry) = emit::reserve::<Clone>(RecordKind::Clone) else {
        emit::lost(Due::FORK, 1);
        return emit::lost_call(births);
    };
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is the reserved room.
    unsafe {
        let fork = &raw mut (*record).fork;
        (*fork).creator_tid = Own::read(creator, offset!(task_pid));
        (*fork).cause = cause() as u32;
        (*fork).flags = flags;
        (*record).births = births;
        task::fill::<Probed>(child, &raw mut (*fork).task);
        task::fill::<Probed>(creator, &raw mut (*record).creator);
    }
    entry.submit(0);
}
