//! Calls that a thread makes over and over: the first of a kind is told, the others are counted.
//!
//! A thread writes only to what is known of itself, so no count is ever in doubt. What was counted is
//! told once a second at userspace's request, at the thread's end, and when a kind makes room for
//! another. A thread whose calls are all told has an entry too, but no call that makes namespaces
//! looks for it unless some thread of its bucket has one.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns,
    macros::{map, raw_tracepoint},
    maps::{Array, HashMap},
    programs::RawTracePointContext,
};
use ns_trace_common::{
    Due, RecordKind,
    repeat::{BUCKETS, Held, KINDS, Kind, PAUSE_NS, Repeat, THREADS, Thread},
};

use crate::{
    call::{self, current},
    emit,
    memory::{Memory as _, Probed, offset},
    task,
};

/// By thread number. Nothing is ever pushed out of it: an entry goes with its thread.
#[map]
static REPEATS: HashMap<u32, Thread> = HashMap::with_max_entries(THREADS, 0);

/// How many entries the threads of a bucket have.
#[map]
static BUCKET: Array<u64> = Array::with_max_entries(BUCKETS, 0);

/// What a new entry is copied from: too large for the stack.
#[map]
static NOTHING: Array<Thread> = Array::with_max_entries(1, 0);

/// `BPF_NOEXIST`
const NEW: u64 = 1;

/// What makes calls the same; see [`Kind`].
pub struct Call {
    pub call: u64,
    pub flags: u64,
    pub from: u64,
    pub to: u64,
}

/// What to do about a call.
#[derive(Clone, Copy)]
pub struct Verdict {
    /// Whether it was counted and is not to be told.
    pub held: bool,
    /// The kind's number; 0 if calls like it are not counted.
    pub serial: u64,
    /// The kind of the call that has put the thread where it was before.
    pub before: u64,
}

impl From<u64> for Verdict {
    #[inline(always)]
    fn from(met: u64) -> Self {
        Self { held: met & HELD != 0, serial: met & !HELD, before: 0 }
    }
}

/// Beside its number: the call was counted.
const HELD: u64 = 1 << 63;

const TELL: Verdict = Verdict { held: false, serial: 0, before: 0 };

/// A call of the current task failed.
#[inline(always)]
pub fn fail(call: &Call) -> Verdict {
    let thread = entry();
    if thread.is_null() { TELL } else { meet(thread, call).into() }
}

/// The current task has entered namespaces by setns(2).
#[inline(always)]
pub fn enter(call: u64, nstype: u64) -> Verdict {
    let thread = entry();
    if thread.is_null() {
        return TELL;
    }
    // SAFETY: the entry is in bounds, and only the current task writes to it.
    unsafe {
        let place = task::digest(current());
        let (from, before) = ((*thread).place, (*thread).last);
        (*thread).place = place;
        (*thread).last = 0;
        if from == 0 {
            return TELL;
        }
        let verdict = Verdict::from(meet(thread, &Call { call, flags: nstype, from, to: place }));
        (*thread).last = verdict.serial;
        Verdict { before, ..verdict }
    }
}

/// The current task has changed its namespaces by another call than setns(2), which is always told:
/// returns the kind of the setns(2) that put it where it was before.
#[inline(always)]
pub fn moved() -> u64 {
    let tid = call::tid();
    if is_unknown(tid) { 0 } else { forget_place(tid) }
}

#[inline(never)]
fn forget_place(tid: u32) -> u64 {
    match REPEATS.get_ptr_mut(&tid) {
        // SAFETY: the entry is in bounds, and only the current task writes to it.
        Some(thread) => unsafe {
            let before = (*thread).last;
            (*thread).place = 0;
            (*thread).last = 0;
            before
        },
        None => 0,
    }
}

/// The call with this verdict was to be told, but there was no room: the next one is a first again.
#[inline(always)]
pub fn untold(verdict: Verdict) {
    if verdict.serial != 0
        && let Some(thread) = REPEATS.get_ptr_mut(&call::tid())
    {
        // SAFETY: the mask keeps the place in bounds.
        unsafe { (*kind(thread, verdict.serial)).serial = 0 };
    }
}

/// The current task ends.
#[inline(always)]
pub fn ended(tid: u32) {
    if !is_unknown(tid) {
        forget(tid);
    }
}

#[inline(never)]
fn forget(tid: u32) -> u64 {
    if let Some(thread) = REPEATS.get_ptr_mut(&tid) {
        settle(thread, tid);
        if REPEATS.remove(&tid).is_ok() {
            count(tid, u64::MAX);
        }
    }
    0
}

/// Tells what a thread has left untold, given its number. Never attached: userspace runs it.
///
/// match-proto: none
#[raw_tracepoint]
pub fn repeats(context: RawTracePointContext) {
    let tid: u64 = context.arg(0);
    let tid = tid as u32;
    if let Some(thread) = REPEATS.get_ptr_mut(&tid) {
        tell(thread, tid);
    }
}

/// The kind that has the place of number `serial`.
#[inline(always)]
unsafe fn kind(thread: *mut Thread, serial: u64) -> *mut Kind {
    // SAFETY: as promised by the caller; the mask keeps it in bounds.
    unsafe { (&raw mut (*thread).kinds).cast::<Kind>().add(serial as usize & (KINDS - 1)) }
}

/// Finds the call among those that the thread has made, or notes it as new; returns its number, with
/// [`HELD`] if it was counted.
#[inline(never)]
fn meet(thread: *mut Thread, call: &Call) -> u64 {
    // SAFETY: the entry is in bounds, and only the current task writes to it.
    unsafe {
        let now = bpf_ktime_get_boot_ns();
        let mut place = 0;
        while place < KINDS as u64 {
            let kind = kind(thread, place);
            place += 1;
            let is_same = (*kind).serial != 0
                && (*kind).call == call.call
                && (*kind).flags == call.flags
                && (*kind).from == call.from
                && (*kind).to == call.to;
            if !is_same {
                continue;
            }
            let held = (*kind).held != (*kind).told || now - (*kind).told_ns < PAUSE_NS;
            (*kind).last_ns = now;
            if held {
                (*kind).held += 1;
            } else {
                (*kind).told_ns = now;
            }
            return (*kind).serial | if held { HELD } else { 0 };
        }
        let serial = (*thread).newest + 1;
        (*thread).newest = serial;
        let kind = kind(thread, serial);
        if (*kind).held != (*kind).told {
            settle(thread, call::tid());
        }
        (*kind).serial = 0;
        (*kind).call = call.call;
        (*kind).flags = call.flags;
        (*kind).from = call.from;
        (*kind).to = call.to;
        (*kind).told_ns = now;
        (*kind).last_ns = now;
        (*kind).serial = serial;
        serial
    }
}

/// Tells what is untold, or counts it as lost.
#[inline(always)]
fn settle(thread: *mut Thread, tid: u32) {
    if tell(thread, tid) != 0 {
        return;
    }
    // SAFETY: the entry is in bounds, and only the current task writes to it.
    unsafe {
        let mut place = 0;
        while place < KINDS as u64 {
            let kind = kind(thread, place);
            let left = ((*kind).held - (*kind).told) as u32;
            emit::lost(if (*kind).call as u32 == 0 { Due::ENTER } else { Due::FAIL }, left);
            (*kind).told = (*kind).held;
            place += 1;
        }
    }
}

/// Tells what is untold; returns 0 if there is no room for that.
#[inline(never)]
fn tell(thread: *mut Thread, tid: u32) -> u64 {
    // SAFETY: the entry is in bounds, `record` is the reserved room.
    unsafe {
        let mut pending = false;
        let mut place = 0;
        while place < KINDS as u64 {
            let kind = kind(thread, place);
            pending |= (*kind).held != (*kind).told;
            place += 1;
        }
        if !pending {
            return 1;
        }
        // What the thread does from here on has its record behind this one, or is told later.
        let Some(mut entry) = emit::reserve::<Repeat>(RecordKind::Repeat) else {
            return 0;
        };
        let record = entry.as_mut_ptr();
        (*record).tid = tid;
        (*record).reserved = 0;
        (*record).start_ns = (*thread).start_ns;
        (*record).last = (&raw const (*thread).last).read_volatile();
        let mut place = 0;
        while place < KINDS as u64 {
            let kind = kind(thread, place);
            let out = (&raw mut (*record).held).cast::<Held>().add(place as usize);
            let serial = (&raw const (*kind).serial).read_volatile();
            let held = (&raw const (*kind).held).read_volatile();
            (*out).call = (*kind).call;
            (*out).held = held;
            (*out).told = (*kind).told;
            (*out).last_ns = (*kind).last_ns;
            // Its place may have been taken meanwhile; then all was told.
            let is_same = (&raw const (*kind).serial).read_volatile() == serial;
            (*out).serial = if is_same { serial } else { 0 };
            if is_same && (*kind).told != held {
                (*kind).told = held;
                (*kind).told_ns = (*record).header.boot_ns;
            }
            place += 1;
        }
        entry.submit(0);
        1
    }
}

/// What is known of the current task, from now on at least; null if there is no room.
#[inline(never)]
fn entry() -> *mut Thread {
    let tid = call::tid();
    // SAFETY: an integer may have any bits.
    let start_ns: u64 = unsafe { Probed::read(current(), offset!(task_start_boottime)) };
    if let Some(thread) = REPEATS.get_ptr_mut(&tid) {
        // SAFETY: the entry is in bounds, and only the current task writes to it.
        if unsafe { (*thread).start_ns } == start_ns {
            return thread;
        }
        // The end of an earlier thread with this number went by unseen.
        forget(tid);
    }
    if let Some(nothing) = NOTHING.get(0)
        && REPEATS.insert(&tid, nothing, NEW).is_ok()
    {
        count(tid, 1);
        if let Some(thread) = REPEATS.get_ptr_mut(&tid) {
            // SAFETY: as above.
            unsafe { (*thread).start_ns = start_ns };
            return thread;
        }
    }
    core::ptr::null_mut()
}

/// Whether no thread of the bucket has an entry.
#[inline(always)]
fn is_unknown(tid: u32) -> bool {
    BUCKET.get(tid & (BUCKETS - 1)).is_none_or(|entries| *entries == 0)
}

/// Adds to the count of a bucket's entries.
#[inline(always)]
fn count(tid: u32, more: u64) {
    if let Some(entries) = BUCKET.get_ptr_mut(tid & (BUCKETS - 1)) {
        // SAFETY: the element is in bounds.
        unsafe { emit::add(entries, more) };
    }
}
