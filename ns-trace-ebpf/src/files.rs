//! A walk over all file tables: open files that keep a namespace, which neither their link in /proc
//! nor any request of theirs tells; and what is behind them and behind the memory of processes.

mod inner;
mod look;

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_loop,
    macros::{map, raw_tracepoint},
    maps::{Array, PerCpuArray},
    programs::RawTracePointContext,
};
use ns_trace_common::{
    Kind, Slot,
    files::{self as argument, BATCH, Held, MOST_SHARES, Way},
};

use self::look::look;
use crate::{
    maps::MMAPABLE,
    memory::{Memory as _, Probed, offset, present},
    snapshot::first_task,
    task::own_pid,
};

/// What was found, share by share.
#[map]
static FILES: Array<Held> = Array::with_max_entries(MOST_SHARES * BATCH, MMAPABLE);

/// The most descriptors, tasks and what is behind them that are visited in one run: `BPF_MAX_LOOPS`.
const STEPS: u32 = 1 << 23;

/// Where the walk stands; another processor may be walking another share. The verifier knows nothing of
/// what is in a map: if it knew the values on a stack, it would follow each of them.
#[map]
static WALK: PerCpuArray<Walk> = PerCpuArray::with_max_entries(1, 0);

#[derive(Clone, Copy)]
struct Walk {
    /// The first task of all, where the list of leaders ends.
    init: *const u8,
    /// The thread group being visited.
    leader: *const u8,
    /// The end of its list of threads.
    head: *const u8,
    /// The next entry of that list.
    node: *const u8,
    /// The file table that its threads share.
    shared: *const u8,
    /// The user namespace of the thread whose table is being visited.
    user: *const u8,
    /// Where the files of that table stand.
    files: *const u8,
    /// Which of its descriptors are open, a bit each: the word to be read next.
    open: *const u8,
    /// Those that are left of the word before.
    bits: u64,
    /// The first descriptor of the next word, and the first that there is no room for.
    fd: u32,
    end: u32,
    pid: u32,
    tid: u32,
    /// The memory of the process being visited.
    mm: *const u8,
    /// The network namespace of its first thread.
    net: *const u8,
    /// Whether it was told that this process has files that tell of themselves.
    is_told: u32,
    /// How many lists within each other are being gone through, and how many entries of them may
    /// still be visited.
    depth: u32,
    left: u32,
    /// What is being looked at: a [`Way`], and the number of the descriptor that led to it.
    way: u32,
    at: u32,
    /// The operations of a kind of namespace: what has them is one of that kind, whatever led there. 0 of
    /// a kind of which nothing shall be told.
    of_mnt: u64,
    of_pid: u64,
    of_ipc: u64,
    of_uts: u64,
    of_net: u64,
    of_user: u64,
    of_cgroup: u64,
    of_time: u64,
    skip: u64,
    found: u64,
    /// Which share of the processes is visited, and of how many.
    share: u64,
    shares: u64,
}

// SAFETY: the pointers are addresses in the kernel's memory, which are probed and nothing else.
unsafe impl Sync for Walk {}

/// The operations of a namespace.
macro_rules! operations {
    ($kind:ident, $address:expr) => {{
        let common = offset!(namespaces[Kind::$kind as usize].common);
        Probed::pointer($address, common + offset!(ops)) as u64
    }};
}
use operations;

/// Never attached: userspace runs it with `BPF_PROG_TEST_RUN`, with the arguments of
/// [`ns_trace_common::files`]. It is not moved to another processor meanwhile
/// (net/bpf/test_run.c, `bpf_prog_test_run_raw_tp`).
///
/// The tables change under it, guarded by RCU only: what is opened or closed meanwhile may be missed
/// or met. Therefore every pointer is checked for leading to a namespace.
///
/// match-proto: none
#[raw_tracepoint]
pub fn files(context: RawTracePointContext) {
    let Some(walk) = WALK.get_ptr_mut(0) else {
        return;
    };
    let init = first_task();
    // SAFETY: the callback does without a context; pointers may have any bits.
    unsafe {
        let nsproxy = Probed::pointer(init, offset!(task_nsproxy));
        let cred = Probed::pointer(init, offset!(task_real_cred));
        let user = Probed::pointer(cred, offset!(cred_user_ns));
        let kinds: u64 = context.arg(argument::KINDS);
        macro_rules! wanted {
            ($kind:ident, $address:expr) => {
                if kinds & 1 << Kind::$kind as u64 != 0 { operations!($kind, $address) } else { 0 }
            };
        }
        macro_rules! proxied {
            ($kind:ident) => {
                wanted!($kind, Probed::pointer(nsproxy, offset!(nsproxy[Slot::$kind as usize])))
            };
        }
        // The first task itself begins the list of its threads.
        let signal = Probed::pointer(init, offset!(task_signal));
        let head = signal.wrapping_add(offset!(signal_thread_head) as usize);
        let null = core::ptr::null();
        *walk = Walk {
            init,
            leader: init,
            head,
            node: Probed::pointer(head, 0),
            shared: null,
            user,
            files: null,
            open: null,
            bits: 0,
            fd: 0,
            end: 0,
            pid: 0,
            tid: 0,
            mm: null,
            net: null,
            is_told: 0,
            depth: 0,
            left: 0,
            way: 0,
            at: 0,
            of_mnt: proxied!(Mnt),
            of_pid: wanted!(Pid, own_pid::<Probed>(init).0),
            of_ipc: proxied!(Ipc),
            of_uts: proxied!(Uts),
            of_net: proxied!(Net),
            of_user: wanted!(User, user),
            of_cgroup: proxied!(Cgroup),
            of_time: proxied!(Time),
            skip: context.arg(argument::SKIP),
            found: 0,
            share: context.arg(argument::SHARE),
            shares: context.arg(argument::SHARES),
        };
        if !is_ours(walk, init) {
            (*walk).node = head;
        }
        bpf_loop(STEPS, step as *const () as *mut c_void, core::ptr::null_mut(), 0);
    }
}

/// Visits one descriptor or an entry of a list behind one, or goes on to the next thread or thread
/// group.
unsafe extern "C" fn step(_: u64, _: *mut c_void) -> i64 {
    let Some(walk) = WALK.get_ptr_mut(0) else {
        return 1;
    };
    // SAFETY: it is in bounds, and nobody else uses it meanwhile; pointers may have any bits.
    unsafe {
        if (*walk).found >= u64::from(BATCH) {
            return 1;
        }
        let is_inner = (*walk).depth > 0;
        if is_inner || (*walk).bits != 0 || (*walk).fd < (*walk).end {
            let file = if is_inner { inner::next(walk) } else { next(walk) };
            if !file.is_null() {
                look(walk, file);
            }
            return 0;
        }
        let node = (*walk).node;
        if node != (*walk).head && !node.is_null() {
            (*walk).node = Probed::pointer(node, 0);
            enter(walk, node.wrapping_sub(offset!(task_thread_node) as usize));
            return 0;
        }
        let next = Probed::pointer((*walk).leader, offset!(task_tasks));
        let leader = next.wrapping_sub(offset!(task_tasks) as usize);
        if next.is_null() || leader == (*walk).init {
            return 1;
        }
        (*walk).leader = leader;
        if !is_ours(walk, leader) {
            return 0;
        }
        let signal = Probed::pointer(leader, offset!(task_signal));
        (*walk).head = signal.wrapping_add(offset!(signal_thread_head) as usize);
        (*walk).node = Probed::pointer((*walk).head, 0);
        (*walk).shared = core::ptr::null();
        (*walk).mm = core::ptr::null();
        (*walk).is_told = 0;
        if (*walk).of_net != 0 {
            let nsproxy = Probed::pointer(leader, offset!(task_nsproxy));
            (*walk).net = Probed::pointer(nsproxy, offset!(nsproxy[Slot::Net as usize]));
        }
    }
    0
}

/// Whether a thread group is of the share that is visited. Its address tells: then nothing of one that
/// is not need be read but where the next one is.
#[inline(always)]
unsafe fn is_ours(walk: *mut Walk, leader: *const u8) -> bool {
    /// Spreads over all bits what addresses differ in (Knuth's multiplicative hashing).
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = (leader as u64).wrapping_mul(GOLDEN) >> 32;
    // SAFETY: as promised by the caller.
    unsafe { (hash * (*walk).shares) >> 32 == (*walk).share }
}

/// The file of the next open descriptor; null if none of the next word is open.
#[inline(always)]
unsafe fn next(walk: *mut Walk) -> *const u8 {
    /// More than anybody has on the way; who has more shall not keep the walk from the others.
    const MOST: u32 = 1 << 16;
    // SAFETY: as promised by the caller; pointers may have any bits.
    unsafe {
        if (*walk).bits == 0 {
            (*walk).bits = Probed::read((*walk).open, 0);
            (*walk).open = (*walk).open.wrapping_add(8);
            (*walk).fd += u64::BITS;
            if (*walk).bits == 0 {
                return core::ptr::null();
            }
        }
        let fd = (*walk).fd - u64::BITS + (*walk).bits.trailing_zeros();
        (*walk).bits &= (*walk).bits - 1;
        (*walk).way = Way::Open as u32;
        (*walk).at = fd;
        (*walk).left = MOST;
        Probed::pointer((*walk).files.wrapping_add(fd as usize * 8), 0)
    }
}

/// Goes into the table of a thread, unless it is the one that others of its process have as well; and
/// into the memory of its process, which all its threads share.
#[inline(always)]
unsafe fn enter(walk: *mut Walk, task: *const u8) {
    // SAFETY: as promised by the caller; integers and pointers may have any bits.
    unsafe {
        let table = Probed::pointer(task, offset!(task_files));
        if table.is_null() || table == (*walk).shared {
            return;
        }
        (*walk).pid = Probed::read(task, offset!(task_tgid));
        (*walk).tid = Probed::read(task, offset!(task_pid));
        // What has ended has no table; then the first of the others stands for it.
        if (*walk).shared.is_null() {
            (*walk).shared = table;
            (*walk).tid = (*walk).pid;
        }
        if (*walk).of_user != 0 {
            let cred = Probed::pointer(task, offset!(task_real_cred));
            (*walk).user = Probed::pointer(cred, offset!(cred_user_ns));
        }
        let table = Probed::pointer(table, offset!(files_fdt));
        (*walk).files = Probed::pointer(table, offset!(fdt_fd));
        (*walk).open = Probed::pointer(table, offset!(fdt_open_fds));
        (*walk).bits = 0;
        (*walk).fd = 0;
        (*walk).end = Probed::read(table, offset!(fdt_max_fds));
        if (*walk).of_ipc == 0 || !(*walk).mm.is_null() {
            return;
        }
        let mm = Probed::pointer(task, offset!(task_mm));
        if !mm.is_null() {
            /// The most mappings of a process that are visited, many times `vm.max_map_count`.
            const MAPPINGS: u32 = 1 << 20;
            (*walk).mm = mm;
            (*walk).way = Way::Open as u32;
            (*walk).left = MAPPINGS;
            inner::memory(walk);
        }
    }
}
