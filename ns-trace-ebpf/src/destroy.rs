//! Namespaces that end, where functions can be hooked.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use ns_trace_common::{Due, RecordKind, destroy::Destroy};

use crate::emit;

/// An inode number goes back to the pool: exactly once per namespace, whatever its type.
///
/// At entry the number is not free yet, so in the ring this record precedes that of any later
/// namespace with the same inode.
///
/// match-proto: v5.10+: void proc_free_inum(unsigned int inum)
#[fentry(function = "proc_free_inum")]
pub fn proc_free_inum(context: FEntryContext) {
    freed(context.arg(0));
}

/// The same, as a kprobe.
///
/// match-proto: v5.10+: void proc_free_inum(unsigned int inum)
#[kprobe]
pub fn proc_free_inum_entered(context: ProbeContext) {
    if let Some(inode) = context.arg(0) {
        freed(inode);
    }
}

#[inline(always)]
fn freed(inode: u32) {
    let Some(mut entry) = emit::reserve::<Destroy>(RecordKind::Destroy) else {
        return emit::lost(Due::DESTROY, 1);
    };
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is the reserved room.
    unsafe {
        (*record).inode = inode;
        (*record).reserved = 0;
    }
    entry.submit(0);
}
