//! Room in the ring, and the count of what found none.

use core::arch::asm;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE},
    helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_query},
    maps::ring_buf::RingBufEntry,
};
use ns_trace_common::{
    Due, Header, RecordKind,
    lost::{Ledger, Lost, SORTS},
};

use crate::maps::{EVENTS, LEDGERS};

/// Reserves room for a record and writes its header.
///
/// `R` must be a `repr(C)` record that starts with a [`Header`].
#[inline(always)]
pub fn reserve<R: 'static>(kind: RecordKind) -> Option<RingBufEntry<R>> {
    let header = header::<R>(kind, 0)?;
    let Some(mut entry) = EVENTS.reserve::<R>(0) else {
        failed();
        return None;
    };
    // SAFETY: every record starts with a header, and the entry is as large as the record.
    unsafe {
        entry.as_mut_ptr().cast::<Header>().write(header);
    }
    Some(entry)
}

/// The header of a record that happens now, with `extra` bytes after the struct; its number is taken
/// from then on, so the record is to be written or reported as [`failed`].
///
/// `None` only where the kernel has more CPUs than it says.
#[inline(always)]
pub fn header<R>(kind: RecordKind, extra: u32) -> Option<Header> {
    let cpu = cpu();
    let ledger = LEDGERS.get_ptr_mut(cpu)?;
    // SAFETY: the verifier knows the bounds of the element.
    unsafe {
        let len = size_of::<R>() as u32 + extra;
        if (*ledger).failed != (*ledger).told {
            confess(ledger, cpu, len);
        }
        Some(number(ledger, cpu, kind, len))
    }
}

/// The header of the next record of this CPU.
#[inline(always)]
unsafe fn number(ledger: *mut Ledger, cpu: u32, kind: RecordKind, len: u32) -> Header {
    // SAFETY: as promised by the caller; the helpers have no preconditions.
    unsafe {
        // Fetching additions came with Linux 5.12: a program that interrupts between these two
        // takes the same number, but both are counted.
        let seq = (&raw const (*ledger).numbered).read_volatile();
        add(&raw mut (*ledger).numbered, 1);
        Header { kind: kind as u16, cpu: cpu as u16, len, boot_ns: bpf_ktime_get_boot_ns(), seq }
    }
}

/// Says what this CPU has lost, if there is room by now for that and for the record of `len` bytes
/// that is to follow: better that is there than that it is said a few records earlier.
#[inline(never)]
unsafe fn confess(ledger: *mut Ledger, cpu: u32, len: u32) {
    // SAFETY: as promised by the caller; the entry is as large as the record.
    unsafe {
        // Each record has a header of the ring's own, and is rounded up to 8 bytes.
        let wanted = size_of::<Lost>() as u64 + u64::from(len) + 3 * 8;
        let (free, size) = room();
        // While the ring is about full, saying so each time would fill it all the more.
        if free < wanted || free < size / 16 {
            return;
        }
        let failed = (&raw const (*ledger).failed).read_volatile();
        let Some(mut entry) = EVENTS.reserve::<Lost>(0) else {
            return;
        };
        let record = entry.as_mut_ptr();
        (*record).header = number(ledger, cpu, RecordKind::Lost, size_of::<Lost>() as u32);
        (*record).failed = failed;
        let mut sort = 0;
        while sort < SORTS {
            (*record).lost[sort] = (*ledger).lost[sort];
            sort += 1;
        }
        entry.submit(0);
        (*ledger).told = failed;
    }
}

/// How many bytes there are left in the ring, and how many there are.
#[inline(always)]
pub fn room() -> (u64, u64) {
    let ring = (&raw const EVENTS).cast_mut().cast();
    // SAFETY: the helper has no preconditions.
    unsafe {
        let size = bpf_ringbuf_query(ring, BPF_RB_RING_SIZE.into());
        (size - bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA.into()), size)
    }
}

/// Counts a record that found no room.
#[inline(always)]
pub fn failed() {
    if let Some(ledger) = ledger() {
        // SAFETY: the verifier knows the bounds of the element.
        unsafe { add(&raw mut (*ledger).failed, 1) };
    }
}

/// Counts `events` of one sort (a constant of [`Due`]) as lost.
#[inline(always)]
pub fn lost(sort: u32, events: u32) {
    if let Some(ledger) = ledger() {
        // SAFETY: the verifier knows the bounds of the element, and the constants are below SORTS.
        unsafe {
            add((&raw mut (*ledger).lost).cast::<u64>().add(sort as usize), u64::from(events))
        };
    }
}

/// Counts the events of a successful call as lost, whose record tells of `births` as well.
#[inline(always)]
pub fn lost_call(births: u64) {
    let due = Due::of_call(births);
    lost(Due::CREATE, due.create);
    lost(Due::ENTER, due.enter);
}

/// Counts a call that the program of all calls sees.
#[inline(always)]
pub fn handled() {
    if let Some(ledger) = ledger() {
        // SAFETY: the verifier knows the bounds of the element.
        unsafe { add(&raw mut (*ledger).handled, 1) };
    }
}

/// Counts a call that the program of all calls should see.
#[inline(always)]
pub fn witnessed() {
    if let Some(ledger) = ledger() {
        // SAFETY: the verifier knows the bounds of the element.
        unsafe { add(&raw mut (*ledger).witnessed, 1) };
    }
}

/// The account of this CPU; programs stay on theirs while they run.
#[inline(always)]
fn ledger() -> Option<*mut Ledger> {
    LEDGERS.get_ptr_mut(cpu())
}

#[inline(always)]
fn cpu() -> u32 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_smp_processor_id() as u32 }
}

/// Adds to a counter at once, whatever interrupts.
///
/// # Safety
///
/// `counter` must be valid for writes.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, more: u64) {
    // SAFETY: as promised by the caller. The one atomic instruction that Linux 5.10 has.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {more}", counter = in(reg) counter, more = in(reg) more);
    }
}
