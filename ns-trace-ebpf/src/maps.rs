//! What the probes share with userspace.

use aya_ebpf::{
    macros::map,
    maps::{Array, RingBuf},
};
use ns_trace_common::{inspect, lost::Ledger, snapshot};

use crate::memory::constant;

/// All records: one ring, so that its order is the kernel's order. Userspace sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// `BPF_F_MMAPABLE`: userspace asks and reads through a mapping, without a system call an element.
/// On preemptible kernels such a call is worse than slow: programs on perf events that interrupt it
/// are not run (kernel/bpf/syscall.c, `bpf_disable_instrumentation`).
pub const MMAPABLE: u32 = 1 << 10;

/// What found no room in the ring, by CPU; userspace sets how many there are.
#[map]
pub static LEDGERS: Array<Ledger> = Array::with_max_entries(1, MMAPABLE);

/// Questions about namespaces, answered in place.
#[map]
pub static INSPECT: Array<inspect::Inspect> = Array::with_max_entries(inspect::BATCH, MMAPABLE);

/// One bit for each thread number: whether the walk has met the thread. A walk that does not fit into
/// the ring takes several runs; userspace clears the bits before the first.
#[map]
pub static MET: Array<u64> = Array::with_max_entries(snapshot::TIDS / u64::BITS, MMAPABLE);

/// Where in a `css_set` the state of the controller is whose hierarchy of version 1 is looked at
/// besides the unified one; [`ABSENT`](ns_trace_common::ABSENT) where there is none.
#[unsafe(no_mangle)]
pub static LEGACY: u32 = 1;

/// Reads [`LEGACY`].
#[inline(always)]
pub fn legacy() -> u32 {
    constant(&LEGACY)
}
