//! How the allocator treats large pieces, and the kernel what the allocator has and what it freed.

use std::{ffi::c_void, hint::black_box, mem, sync::OnceLock};

use rustix::param::page_size;

/// Pieces from this many bytes on are mapped and unmapped on their own.
const LARGE: libc::c_int = 1 << 18;

/// What an answer about ten thousand namespaces takes, twice.
const ROOM: usize = 16 << 20;

/// A page that the processor finds a step earlier.
const LARGE_PAGE: usize = 2 << 20;

/// Where the heap ended before the probes were loaded.
static HEAP: OnceLock<usize> = OnceLock::new();

/// Has the memory of large pieces given back when they are freed. By default the C library raises
/// its limit to the largest piece freed so far, and a backlog of hundreds of megabytes would stay
/// with the process for good.
pub fn give_back_large_pieces() {
    set(libc::M_MMAP_THRESHOLD, LARGE);
    HEAP.get_or_init(heap_end);
}

/// Gives back what is free in between: loading the probes leaves megabytes of it.
pub fn give_back_free_pieces() {
    // SAFETY: the call only touches memory that nothing owns.
    unsafe { libc::malloc_trim(0) };
    let end = heap_end();
    // To the page's start, which is mapped as well.
    let begin = HEAP.get().map_or(end, |begin| begin & !(page_size() - 1));
    // Else the kernel (khugepaged, where transparent huge pages are always used) would make whole
    // huge pages of it again, within seconds. Kernels without them refuse.
    // SAFETY: the advice does not change what is in the memory.
    let _refused = unsafe {
        libc::madvise(begin as *mut c_void, end.saturating_sub(begin), libc::MADV_NOHUGEPAGE)
    };
}

/// Has the heap consist of large pages, if the kernel has some to give, for a program that answers one
/// question and ends: what is freed stays with it.
///
/// The kernel clears and counts each page when it is touched first. A list of ten thousand namespaces
/// touches two thousand of the usual ones, which takes a third of its time.
pub fn take_large_pages() {
    // Larger pieces are not of the heap; more than this is refused.
    set(libc::M_MMAP_THRESHOLD, 32 << 20);
    set(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    let mut room = Vec::<u8>::new();
    if room.try_reserve_exact(ROOM).is_err() {
        return;
    }
    let head = LARGE_PAGE - room.as_ptr().addr() % LARGE_PAGE;
    let first = room.as_mut_ptr().wrapping_add(head);
    let length = (ROOM - head) / LARGE_PAGE * LARGE_PAGE;
    // SAFETY: the advice does not change what is in the memory. Kernels without such pages refuse.
    let is_taken = unsafe { libc::madvise(first.cast(), length, libc::MADV_HUGEPAGE) } == 0;
    drop(room);
    if is_taken {
        // What is before the first is passed over.
        mem::forget(black_box(Vec::<u8>::with_capacity(head)));
    }
}

/// Sets a parameter of the allocator.
fn set(parameter: libc::c_int, value: libc::c_int) {
    // SAFETY: the call only sets a number.
    let set = unsafe { libc::mallopt(parameter, value) };
    debug_assert_eq!(set, 1, "mallopt refuses only what it does not know and what is too much");
}

/// Where the heap ends.
fn heap_end() -> usize {
    // SAFETY: the break is not moved.
    unsafe { libc::sbrk(0) as usize }
}
