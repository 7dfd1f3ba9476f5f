//! Room in the ring, and the count of what found none.

use aya_ebpf::{helpers::generated::bpf_ktime_get_boot_ns, maps::ring_buf::RingBufEntry};
use ns_trace_common::{Due, Header, RecordKind};

use crate::maps::{EVENTS, LOST};

/// Reserves room for a record and writes its header.
///
/// `R` must be a `repr(C)` record that starts with a [`Header`].
#[inline(always)]
pub fn reserve<R: 'static>(kind: RecordKind) -> Option<RingBufEntry<R>> {
    let mut entry = EVENTS.reserve::<R>(0)?;
    // SAFETY: every record starts with a header, and the entry is as large as the record.
    unsafe {
        entry.as_mut_ptr().cast::<Header>().write(header::<R>(kind, 0));
    }
    Some(entry)
}

/// The header of a record that happens now, with `extra` bytes after the struct.
#[inline(always)]
pub fn header<R>(kind: RecordKind, extra: u32) -> Header {
    Header {
        kind: kind as u32,
        len: size_of::<R>() as u32 + extra,
        // SAFETY: the helper has no preconditions.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
    }
}

/// Counts `events` of one sort (a constant of [`Due`]) as lost.
#[inline(always)]
pub fn lost(sort: u32, events: u32) {
    if let Some(count) = LOST.get_ptr_mut(sort) {
        // SAFETY: the element belongs to this CPU, and the verifier knows its bounds.
        unsafe { *count += u64::from(events) };
    }
}

/// Counts the events of a successful call as lost, whose record tells of `births` as well.
#[inline(always)]
pub fn lost_call(births: u64) {
    let due = Due::of_call(births);
    lost(Due::CREATE, due.create);
    lost(Due::ENTER, due.enter);
}
