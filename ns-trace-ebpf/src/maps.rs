//! What the probes share with userspace.

use aya_ebpf::{
    macros::map,
    maps::{Array, PerCpuArray, RingBuf},
};
use ns_trace_common::{Due, inspect};

use crate::memory::constant;

/// All records: one ring, so that its order is the kernel's order. Userspace sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// Events that found no room in the ring, by sort (see [`Due`]) and CPU.
#[map]
pub static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Due::COUNTERS, 0);

/// `BPF_F_MMAPABLE`: userspace asks and reads through a mapping, without a system call an element.
const MMAPABLE: u32 = 1 << 10;

/// Questions about namespaces, answered in place.
#[map]
pub static INSPECT: Array<inspect::Inspect> = Array::with_max_entries(inspect::BATCH, MMAPABLE);

/// Where in a `css_set` the state of the controller is whose hierarchy of version 1 is looked at
/// besides the unified one; [`ABSENT`](ns_trace_common::ABSENT) where there is none.
#[unsafe(no_mangle)]
pub static LEGACY: u32 = 1;

/// Reads [`LEGACY`].
#[inline(always)]
pub fn legacy() -> u32 {
    constant(&LEGACY)
}
