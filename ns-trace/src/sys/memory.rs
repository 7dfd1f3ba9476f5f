//! How the allocator treats large pieces, and the kernel what the allocator freed.

use std::{ffi::c_void, sync::OnceLock};

use rustix::param::page_size;

/// Pieces from this many bytes on are mapped and unmapped on their own.
const LARGE: libc::c_int = 1 << 18;

/// Where the heap ended before the probes were loaded.
static HEAP: OnceLock<usize> = OnceLock::new();

/// Has the memory of large pieces given back when they are freed. By default the C library raises
/// its limit to the largest piece freed so far, and a backlog of hundreds of megabytes would stay
/// with the process for good.
pub fn give_back_large_pieces() {
    // SAFETY: the call only sets a number.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    debug_assert_eq!(set, 1, "mallopt refuses only unknown parameters");
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

/// Where the heap ends.
fn heap_end() -> usize {
    // SAFETY: the break is not moved.
    unsafe { libc::sbrk(0) as usize }
}
