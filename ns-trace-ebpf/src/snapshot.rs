//! A walk over all tasks: which namespaces are in use now.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_loop, macros::raw_tracepoint, programs::RawTracePointContext,
};
use ns_trace_common::{
    ABSENT, Due, Kind, RecordKind,
    snapshot::{self as argument, End, Member},
};

use crate::{
    call::current,
    emit,
    maps::MET,
    memory::{Memory as _, Probed, offset},
    task,
};

/// The most tasks that are visited; `PID_MAX_LIMIT` is 4 Mi.
const TASKS: u32 = 1 << 22;
/// The longest chain of parents that is climbed.
const PARENTS: u32 = 1 << 16;

/// Never attached: userspace runs it with `BPF_PROG_TEST_RUN`, with the arguments of
/// [`ns_trace_common::snapshot`].
///
/// The walk follows lists that change under it, guarded by RCU only: a task that comes or goes
/// meanwhile may be missed or met, which its own record in the same ring corrects.
///
/// match-proto: none
#[raw_tracepoint]
pub fn snapshot(context: RawTracePointContext) {
    let zombies: u64 = context.arg(argument::ZOMBIES);
    let ns: u64 = context.arg(argument::NAMESPACE);
    let (slot, children) = (context.arg(argument::SLOT), context.arg(argument::CHILDREN));
    let kind: u64 = context.arg(argument::KIND);
    let first = first_task();
    // As for the address below: what was a constant now, would be one to the verifier for good.
    let (counts, leader) = (ns, first);
    let mut walk =
        Walk { init: first, leader, counts, ns, slot, children, kind, zombies, ..Walk::EMPTY };
    // SAFETY: the callback matches its context, which outlives the call.
    unsafe {
        // At the end of an empty list. Which address that is must be unknown to the verifier: up to
        // 6.6 it follows a callback for its first call only, and removes what is unreachable then.
        walk.head = Probed::pointer(first, offset!(task_tasks));
        walk.node = walk.head;
        bpf_loop(TASKS, step as *const () as *mut c_void, (&raw mut walk).cast(), 0);
    }
    end(!walk.done);
}

/// The context of an iterator over tasks, `struct bpf_iter__task`.
#[repr(C)]
pub struct Iteration {
    _meta: *const u8,
    /// Null once, at the end.
    task: *const u8,
}

/// The same walk by the kernel's own iterator, where there is no `bpf_loop` (before 5.17): it visits
/// the tasks of the reader's pid namespace, while userspace reads from it.
///
/// match-proto: v5.8+: int bpf_iter_task(struct bpf_iter_meta *meta, struct task_struct *task)
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn snapshot_iterator(iteration: &Iteration) -> i32 {
    if iteration.task.is_null() {
        end(false);
    } else {
        // SAFETY: pointers may have any bits.
        unsafe { member(iteration.task, false) };
    }
    0
}

/// Writes the last record.
#[inline(always)]
fn end(cut: bool) {
    let Some(mut entry) = emit::reserve::<End>(RecordKind::End) else {
        return emit::lost(Due::MEMBER, 1);
    };
    // SAFETY: it is the reserved room.
    unsafe { (*entry.as_mut_ptr()).cut = u64::from(cut) };
    entry.submit(0);
}

/// The first task of all, which is in the initial namespaces.
#[inline(always)]
pub fn first_task() -> *const u8 {
    let mut climb = Climb { task: current() };
    // SAFETY: the callback matches its context, which outlives the call.
    unsafe {
        bpf_loop(PARENTS, parent as *const () as *mut c_void, (&raw mut climb).cast(), 0);
    }
    climb.task
}

/// The way up to the first task of all.
struct Climb {
    task: *const u8,
}

/// One step up; stops at the idle task, whose number is 0.
unsafe extern "C" fn parent(_: u64, climb: *mut Climb) -> i64 {
    // SAFETY: the loop passes the context that it was given; pointers may have any bits.
    unsafe {
        let pid: u32 = Probed::read((*climb).task, offset!(task_pid));
        if pid == 0 {
            return 1;
        }
        (*climb).task = Probed::pointer((*climb).task, offset!(task_real_parent));
    }
    0
}

/// Where the walk stands.
struct Walk {
    /// The first task of all, where the list of leaders ends.
    init: *const u8,
    /// The thread group being visited.
    leader: *const u8,
    /// The end of its list of threads.
    head: *const u8,
    /// The next entry of that list.
    node: *const u8,
    /// Whether the threads of that group count, 0 if none was found yet that does.
    counts: u64,
    /// The namespace whose tasks count, and where it would be; 0 if all do.
    ns: u64,
    slot: u64,
    children: u64,
    kind: u64,
    /// Whether zombies count, 0 if not.
    zombies: u64,
    done: bool,
}

impl Walk {
    const EMPTY: Self = Self {
        init: core::ptr::null(),
        leader: core::ptr::null(),
        head: core::ptr::null(),
        node: core::ptr::null(),
        counts: 0,
        ns: 0,
        slot: 0,
        children: 0,
        kind: 0,
        zombies: 0,
        done: false,
    };
}

/// Visits one thread, or goes on to the next thread group.
unsafe extern "C" fn step(_: u64, walk: *mut Walk) -> i64 {
    // SAFETY: the loop passes the context that it was given; pointers may have any bits.
    unsafe {
        let node = (*walk).node;
        if node == (*walk).head || node.is_null() {
            let next = Probed::pointer((*walk).leader, offset!(task_tasks));
            if next.is_null() {
                return 1;
            }
            let leader = next.wrapping_sub(offset!(task_tasks) as usize);
            if leader == (*walk).init {
                (*walk).done = true;
                return 1;
            }
            let signal = Probed::pointer(leader, offset!(task_signal));
            (*walk).leader = leader;
            (*walk).head = signal.wrapping_add(offset!(signal_thread_head) as usize);
            (*walk).node = Probed::pointer((*walk).head, 0);
            (*walk).counts = u64::from((*walk).ns == 0 || is_first(leader));
            return 0;
        }
        (*walk).node = Probed::pointer(node, 0);
        let task = node.wrapping_sub(offset!(task_thread_node) as usize);
        if (*walk).counts != 0 {
            member(task, (*walk).zombies != 0);
        } else if is_there(walk, task) {
            // All of them once more: those before it count as well.
            (*walk).counts = 1;
            (*walk).node = Probed::pointer((*walk).head, 0);
        }
    }
    0
}

/// Whether it is process 1.
#[inline(always)]
unsafe fn is_first(task: *const u8) -> bool {
    // SAFETY: integers may have any bits.
    unsafe { Probed::read::<u32>(task, offset!(task_pid)) == 1 }
}

/// Whether a task is in the namespace whose tasks count, or its children will be.
#[inline(always)]
unsafe fn is_there(walk: *const Walk, task: *const u8) -> bool {
    // SAFETY: as promised by the caller; pointers may have any bits.
    unsafe {
        let ns = (*walk).ns;
        if (*walk).kind == Kind::User as u64 {
            let cred = Probed::pointer(task, offset!(task_real_cred));
            return Probed::pointer(cred, offset!(cred_user_ns)) as u64 == ns;
        }
        if (*walk).kind == Kind::Pid as u64 {
            let pid = Probed::pointer(task, offset!(task_thread_pid));
            if task::pid_namespace(pid) as u64 == ns {
                return true;
            }
        }
        let nsproxy = Probed::pointer(task, offset!(task_nsproxy));
        let is_at = |slot: u64| {
            slot != u64::from(ABSENT) && Probed::pointer(nsproxy, slot as u32) as u64 == ns
        };
        is_at((*walk).slot) || is_at((*walk).children)
    }
}

/// Writes one task, unless it has already let its namespaces go and those do not count, or an earlier
/// run of the same walk has written it.
#[inline(always)]
unsafe fn member(task: *const u8, zombies: bool) {
    // SAFETY: pointers may have any bits, and the word is in bounds.
    unsafe {
        if !zombies && Probed::pointer(task, offset!(task_nsproxy)).is_null() {
            return;
        }
        let tid: u32 = Probed::read(task, offset!(task_pid));
        let Some(met) = MET.get_ptr_mut(tid / u64::BITS) else {
            return;
        };
        let bit = 1 << (tid % u64::BITS);
        if *met & bit != 0 {
            return;
        }
        // The end mark must find room too.
        let wanted = size_of::<Member>() + size_of::<End>() + 2 * 8;
        if emit::room().0 < wanted as u64 {
            return emit::lost(Due::MEMBER, 1);
        }
        let Some(mut entry) = emit::reserve::<Member>(RecordKind::Member) else {
            return emit::lost(Due::MEMBER, 1);
        };
        task::fill::<Probed>(task, &raw mut (*entry.as_mut_ptr()).task);
        entry.submit(0);
        *met |= bit;
    }
}
