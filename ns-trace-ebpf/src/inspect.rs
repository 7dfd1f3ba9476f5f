//! Questions about namespaces, answered from the kernel's memory: nothing is opened, nothing pinned.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_loop, macros::raw_tracepoint, programs::RawTracePointContext,
};
use ns_trace_common::{
    Kind, Ns,
    inspect::{BATCH, Inspect, RELATIVES},
};

use crate::{
    maps::INSPECT,
    memory::{Memory as _, Probed, offset, present},
    task::namespace,
};

/// Reference counts from here on are not counts: `refcount_t` saturates far below, so the memory
/// must be something else by now.
const SATURATED: u32 = 0x4000_0000;

/// Never attached: userspace runs it with `BPF_PROG_TEST_RUN`, the number of questions as argument.
///
/// match-proto: none
#[raw_tracepoint]
pub fn inspect(context: RawTracePointContext) {
    let questions: u64 = context.arg(0);
    let questions = if questions < u64::from(BATCH) { questions as u32 } else { BATCH };
    // SAFETY: the callback takes no context.
    unsafe {
        bpf_loop(questions, step as *const () as *mut c_void, core::ptr::null_mut(), 0);
    }
}

/// The same where there is no `bpf_loop` (before 5.17): answers one question, whose number is the
/// argument.
///
/// match-proto: none
#[raw_tracepoint]
pub fn inspect_one(context: RawTracePointContext) {
    let index: u64 = context.arg(0);
    answer(index as u32);
}

unsafe extern "C" fn step(index: u64, _: *mut c_void) -> i64 {
    answer(index as u32);
    0
}

/// Answers one question.
#[inline(always)]
fn answer(index: u32) {
    let Some(question) = INSPECT.get_ptr_mut(index) else {
        return;
    };
    // SAFETY: the element is in bounds.
    let kind = unsafe { (*question).kind };
    macro_rules! of_kind {
        ($($kind:ident)+) => {
            match kind {
                // SAFETY: the element is in bounds.
                $(number if number == Kind::$kind as u32 => unsafe { look!($kind, question) },)+
                _ => {}
            }
        };
    }
    of_kind!(Mnt Pid Ipc Uts Net User Cgroup Time);
}

/// Whether it is a user namespace.
const fn is_user(kind: Kind) -> bool {
    matches!(kind, Kind::User)
}

/// Whether it is a mount namespace.
const fn is_mnt(kind: Kind) -> bool {
    matches!(kind, Kind::Mnt)
}

/// Looks at one namespace of a known kind.
macro_rules! look {
    ($kind:ident, $question:expr) => {{
        let question: *mut Inspect = $question;
        let address = (*question).ns.address as *const u8;
        let references = offset!(namespaces[Kind::$kind as usize].refs);
        let mut now = Ns::NONE;
        namespace::<Probed, { Kind::$kind as usize }>(address, &raw mut now);
        let references: u32 = Probed::read(address, references);
        let alive = references != 0
            && references < SATURATED
            && now.inode == (*question).ns.inode
            && now.id == (*question).ns.id;
        (*question).alive = u32::from(alive);
        if alive && (*question).want == RELATIVES {
            let owner = offset!(namespaces[Kind::$kind as usize].owner);
            let owner = Probed::pointer(address, owner);
            namespace::<Probed, { Kind::User as usize }>(owner, &raw mut (*question).owner);
            let maker = if $crate::inspect::is_user(Kind::$kind) { address } else { owner };
            (*question).uid = Probed::read(maker, offset!(user_owner));
            let parent = offset!(namespaces[Kind::$kind as usize].parent);
            if present(parent) {
                let parent = Probed::pointer(address, parent);
                namespace::<Probed, { Kind::$kind as usize }>(parent, &raw mut (*question).parent);
            }
            if $crate::inspect::is_mnt(Kind::$kind) && present(offset!(mnt_event)) {
                let event: u64 = Probed::read(address, offset!(mnt_event));
                (*question).event = event.wrapping_add(1);
            }
            let level = offset!(namespaces[Kind::$kind as usize].level);
            if present(level) {
                (*question).level = Probed::read(address, level);
            }
        }
    }};
}
use look;
