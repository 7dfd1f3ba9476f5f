//! How the allocator treats large pieces.

/// Pieces from this many bytes on are mapped and unmapped on their own.
const LARGE: libc::c_int = 1 << 18;

/// Has the memory of large pieces given back when they are freed. By default the C library raises
/// its limit to the largest piece freed so far, and a backlog of hundreds of megabytes would stay
/// with the process for good.
pub fn give_back_large_pieces() {
    // SAFETY: the call only sets a number.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    debug_assert_eq!(set, 1, "mallopt refuses only unknown parameters");
}

/// Gives back what is free in between: loading the probes leaves megabytes of it.
pub fn give_back_free_pieces() {
    // SAFETY: the call only touches memory that nothing owns.
    unsafe { libc::malloc_trim(0) };
}
