//! The kernel's own lists of namespaces: also those that no task and no file of /proc leads to.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_loop, macros::raw_tracepoint, programs::RawTracePointContext,
};
use ns_trace_common::{
    ABSENT, Kind,
    inspect::{BATCH, RELATIVES},
    list as argument,
};

use crate::{
    maps::INSPECT,
    memory::{Memory as _, Probed, offset},
    snapshot::first_task,
    task::own_pid,
};

/// The most namespaces that are visited.
const NAMESPACES: u32 = 1 << 20;

/// The lowest inode number of a namespace (include/uapi/linux/nsfs.h, `enum init_ns_ino`); that of
/// others begins at `PROC_DYNAMIC_FIRST`, which is above.
const LOWEST: u32 = 0xefff_fff8;

/// Where the walk stands, and where the kind of namespace keeps what it reads. That comes from
/// userspace: with constants the verifier would have eight walks to follow.
struct Walk {
    kind: u64,
    skip: u64,
    list: u64,
    inode: u64,
    id: u64,
    ns_type: u64,
    flag: u64,
    /// The entry that it began with, the initial namespace's.
    start: u64,
    /// What stands before that: the head of the list where the initial one is first.
    before: u64,
    node: u64,
    found: u64,
}

/// Never attached: userspace runs it with `BPF_PROG_TEST_RUN`. Its arguments are those of
/// [`ns_trace_common::list`]; it puts the next of them into
/// the places for questions.
///
/// The lists change under it, guarded by RCU only: what comes or goes meanwhile may be missed or met
/// twice.
///
/// match-proto: none
#[raw_tracepoint]
pub fn list(context: RawTracePointContext) {
    let first = first_task();
    let slot: u64 = context.arg(argument::SLOT);
    let kind: u64 = context.arg(argument::KIND);
    let list: u64 = context.arg(argument::LIST);
    // SAFETY: pointers may have any bits.
    let start = unsafe {
        let initial = if kind == Kind::User as u64 {
            let cred = Probed::pointer(first, offset!(task_real_cred));
            Probed::pointer(cred, offset!(cred_user_ns))
        } else if kind == Kind::Pid as u64 {
            own_pid::<Probed>(first).0
        } else {
            let nsproxy = Probed::pointer(first, offset!(task_nsproxy));
            Probed::pointer(nsproxy, slot as u32)
        };
        initial as u64 + list
    };
    let mut walk = Walk {
        kind,
        skip: context.arg(argument::SKIP),
        list,
        inode: context.arg(argument::INODE),
        id: context.arg(argument::ID),
        ns_type: context.arg(argument::NS_TYPE),
        flag: context.arg(argument::FLAG),
        start,
        // SAFETY: a pointer may have any bits. The second word of an entry is the one before.
        before: unsafe { Probed::pointer(start as *const u8, 8) as u64 },
        node: start,
        // 0, but not to the verifier: of a known number it would follow every step.
        found: context.arg(argument::FIRST),
    };
    // SAFETY: the callback matches its context, which outlives the call.
    unsafe {
        bpf_loop(NAMESPACES, step as *const () as *mut c_void, (&raw mut walk).cast(), 0);
    }
}

/// Visits one entry, and goes on to the next.
unsafe extern "C" fn step(at: u64, walk: *mut Walk) -> i64 {
    // SAFETY: the loop passes the context that it was given; integers may have any bits.
    unsafe {
        let node = (*walk).node;
        if node == 0 || at != 0 && node == (*walk).start || (*walk).found >= u64::from(BATCH) {
            return 1;
        }
        (*walk).node = Probed::pointer(node as *const u8, 0) as u64;
        let ns = node.wrapping_sub((*walk).list) as *const u8;
        // The head of the list is in no namespace: where they have their type that tells, else the
        // initial one is the first.
        if (*walk).ns_type == u64::from(ABSENT) {
            if node == (*walk).before {
                return 0;
            }
        } else {
            let ns_type: u32 = Probed::read(ns, (*walk).ns_type as u32);
            if u64::from(ns_type) != (*walk).flag {
                return 0;
            }
        }
        let inode: u32 = Probed::read(ns, (*walk).inode as u32);
        if inode < LOWEST {
            return 0;
        }
        if (*walk).skip > 0 {
            (*walk).skip -= 1;
            return 0;
        }
        let Some(question) = INSPECT.get_ptr_mut((*walk).found as u32) else {
            return 1;
        };
        (*question).ns.address = ns as u64;
        (*question).ns.inode = inode;
        (*question).ns.id =
            if (*walk).id == u64::from(ABSENT) { 0 } else { Probed::read(ns, (*walk).id as u32) };
        (*question).kind = (*walk).kind as u32;
        (*question).want = RELATIVES;
        (*walk).found += 1;
    }
    0
}
