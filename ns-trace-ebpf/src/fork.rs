//! New tasks.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_loop,
    macros::{raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
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
    made(context.arg(0), context.arg(1));
}

/// The same through perf, which runs programs with preemption off (7.0+) but tells them only the
/// number of the new task.
///
/// match-proto: v7.0+: void trace_task_newtask(struct task_struct *task, u64 clone_flags)
#[tracepoint(category = "task", name = "task_newtask")]
pub fn perf_newtask(context: TracePointContext) {
    let event: *const u8 = context.as_ptr().cast();
    // SAFETY: integers may have any bits.
    let (tid, flags): (u32, u64) = unsafe {
        (Probed::read(event, offset!(newtask_pid)), Probed::read(event, offset!(newtask_flags)))
    };
    match find(tid, flags) {
        Some(child) => made(child, flags),
        None => emit::lost(Due::FORK, 1),
    }
}

/// How far to look for a new task: others may have been made since it was.
const SEARCH: u32 = 1 << 16;

/// A search through a list from its end.
struct Search {
    head: *const u8,
    node: *const u8,
    /// Where in a task the node is.
    member: u32,
    tid: u32,
}

/// One step back; stops at the task, and at the head.
unsafe extern "C" fn back(_: u64, search: *mut Search) -> i64 {
    // SAFETY: the loop passes the context that it was given; integers and pointers may have any
    // bits. `prev` follows `next`.
    unsafe {
        (*search).node = Probed::pointer((*search).node, 8);
        let task = (*search).node.wrapping_sub((*search).member as usize);
        let tid: u32 = Probed::read(task, offset!(task_pid));
        i64::from((*search).node == (*search).head || tid == (*search).tid)
    }
}

/// The task that the current one has just made: a late one of its threads, its children, or those
/// of its parent (kernel/fork.c, `copy_process`).
#[inline(always)]
fn find(tid: u32, flags: u64) -> Option<*const u8> {
    const CLONE_PARENT: u64 = 0x8000;
    const CLONE_THREAD: u64 = 0x10000;
    let creator = current();
    // SAFETY: pointers may have any bits; the loop's step takes a `Search`.
    unsafe {
        let (head, member) = if flags & CLONE_THREAD != 0 {
            let signal = Probed::pointer(creator, offset!(task_signal));
            (signal.wrapping_add(offset!(signal_thread_head) as usize), offset!(task_thread_node))
        } else {
            let parent = if flags & CLONE_PARENT != 0 {
                Probed::pointer(creator, offset!(task_real_parent))
            } else {
                creator
            };
            (parent.wrapping_add(offset!(task_children) as usize), offset!(task_sibling))
        };
        let mut search = Search { head, node: head, member, tid };
        let step = back as *const () as *mut core::ffi::c_void;
        bpf_loop(SEARCH, step, (&raw mut search).cast(), 0);
        let task = search.node.wrapping_sub(member as usize);
        let found: u32 = Probed::read(task, offset!(task_pid));
        (search.node != head && found == tid).then_some(task)
    }
}

#[inline(always)]
fn made(child: *const u8, flags: u64) {
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
